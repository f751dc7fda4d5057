"""Texts to token sequences: each text tokenised once, cut by a stated rule, joined by ids."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple

import numpy as np

from recross.checkpoints.loaded import Tokenizer
from recross.checkpoints.templates import split_template
from recross.errors import InputError
from recross.inference.sequences import Sequences, TokenPool
from recross.inference.spans import Ints
from recross.inference.texts.texts import GivenTexts, NumberedTexts
from recross.inference.texts.token_ids import TokenIds
from recross.inference.texts.tokenising import tokenize, tokenize_fixed

Item = tuple[int, ...]
"""What is scored once: the number of a query, then of the document or documents read with it."""

WORDS = ("one", "two", "three")


class Template(NamedTuple):
    """Fixed tokens around the texts of an item, e.g. ``[CLS] query [SEP] document [SEP]``.

    ``literals`` are one more than the texts; ``segments`` are those of literal, text, literal, and
    so on.
    """

    literals: tuple[tuple[int, ...], ...]
    segments: tuple[int, ...]

    @property
    def texts(self) -> int:
        """How many texts an item has, the query included."""
        return len(self.literals) - 1

    @property
    def size(self) -> int:
        """Tokens that are never cut."""
        return sum(map(len, self.literals))


@dataclass(frozen=True)
class Joiner:
    """Joins the texts of an item within a template, under one limit.

    ``max_length`` counts all tokens. With ``max_query_length`` the query is cut to it first, then
    the documents share the rest; without, the longest text is cut first. The template always
    survives.
    """

    tokenizer: Tokenizer
    template: Template
    max_length: int
    max_query_length: int | None = None

    def encode(
        self, queries: Sequence[str], documents: Sequence[str], items: Sequence[Item]
    ) -> Sequences:
        """Encode ``items`` of (query number, document number, ...); each text tokenised once."""
        numbers = np.array(items, dtype=np.int64).reshape(len(items), self.template.texts)
        return self.join(GivenTexts(queries), GivenTexts(documents), numbers)

    def encode_each(self, texts: NumberedTexts) -> Sequences:
        """Encode each text alone, in a template of one text."""
        return self.join(texts, GivenTexts([]), np.arange(len(texts)).reshape(-1, 1))

    def join(self, queries: NumberedTexts, documents: NumberedTexts, items: Ints) -> Sequences:
        """Join the texts of ``items`` ``(B, texts)``: numbers of a query and of its documents.

        The pool holds the pieces of all sequences once: the template's literals, then the queries,
        then the documents. With ``[CLS]``, ``[SEP]``, ``[SEP]``, one query of 2 tokens and two
        documents of 3 and 5, pieces 0 to 5 have the sizes ``1 1 1 2 3 5`` and begin in the pool at
        ``0 1 2 3 5 8``. The item (0, 1) is made of the pieces ``0 3 1 5 2``, that is ``[CLS] query
        [SEP] document [SEP]``; under a limit of 8 the second document keeps 3 tokens, so that it
        takes ``1 2 1 3 1`` tokens from where these pieces begin, ``0 3 1 8 2``.
        """
        literals = TokenIds.of(self.template.literals)
        parts = [literals, queries.tokens(self.tokenizer), documents.tokens(self.tokenizer)]
        pool = TokenIds.end_to_end(parts)
        text_pieces = items + len(literals)  # (B, texts)
        text_pieces[:, 1:] += len(queries)
        sizes, begins = pool.lengths, pool.offsets[:-1]
        kept = self.cut(sizes[text_pieces])  # (B, texts)
        pieces = np.empty((len(items), len(self.template.segments)), dtype=np.int64)
        counts = np.empty_like(pieces)
        literal_pieces = np.arange(len(literals))
        pieces[:, 0::2], pieces[:, 1::2] = literal_pieces, text_pieces
        counts[:, 0::2], counts[:, 1::2] = sizes[literal_pieces], kept
        return Sequences(
            pool=TokenPool(pool.ids),
            begins=begins[pieces],
            counts=counts,
            piece_segments=self.template.segments,
            lost=sizes[text_pieces] - kept,
        )

    def cut(self, lengths: Ints) -> Ints:
        """How many tokens of each text stay; ``lengths`` and result are ``(B, texts)``."""
        room = max(self.max_length - self.template.size, 0)
        if self.max_query_length is None:
            return cut_longest_first(lengths, room)
        kept = lengths.copy()
        kept[:, 0] = np.minimum(lengths[:, 0], min(self.max_query_length, room))
        kept[:, 1:] = cut_longest_first(lengths[:, 1:], room - kept[:, 0])
        return kept


def cut_longest_first(lengths: Ints, room: int | Ints) -> Ints:
    """Cut the longest texts of each row until the row fits; ``lengths`` ``(B, N)``.

    For a pair this is the truncation of the ``tokenizers`` library, as the published BERT
    cross-encoders were run: the document gives way until it is as short as the query, and only then
    does the query lose tokens.
    """
    left = np.broadcast_to(np.asarray(room), lengths.shape[:1]).copy()
    order = np.argsort(lengths, axis=1, kind="stable")
    rows, kept, count = np.arange(len(lengths)), np.empty_like(lengths), lengths.shape[1]
    for done, text in enumerate(order.T):  # the shortest of every row, then the next
        kept[rows, text] = np.minimum(lengths[rows, text], left // (count - done))
        left -= kept[rows, text]
    return kept


def text_template(tokenizer: Tokenizer) -> Template:
    """Read a tokenizer's own special tokens off one short text."""
    pieces = tokenizer("a", add_special_tokens=False)["input_ids"]
    encoded = tokenizer("a", return_token_type_ids=True)
    ids, kinds = list(encoded["input_ids"]), list(encoded["token_type_ids"])
    begin = ids.index(pieces[0])
    end = begin + len(pieces)
    return Template((tuple(ids[:begin]), tuple(ids[end:])), (kinds[0], kinds[begin], kinds[-1]))


def pair_template(tokenizer: Tokenizer) -> Template:
    """Read a tokenizer's own special tokens off a pair of one-piece texts."""
    (first_piece,), (second_piece,) = (
        tokenizer(text, add_special_tokens=False)["input_ids"][:1] for text in ("a", "b")
    )
    encoded = tokenizer("a", "b", return_token_type_ids=True)
    ids, kinds = list(encoded["input_ids"]), list(encoded["token_type_ids"])
    first = ids.index(first_piece)
    second = len(ids) - 1 - ids[::-1].index(second_piece)
    between = kinds[first + 1] if second > first + 1 else kinds[second]
    return Template(
        literals=(tuple(ids[:first]), tuple(ids[first + 1 : second]), tuple(ids[second + 1 :])),
        segments=(kinds[0], kinds[first], between, kinds[second], kinds[-1]),
    )


def triple_template(tokenizer: Tokenizer) -> Template:
    """``[CLS] query [SEP] document [SEP] document [SEP]`` in a tokenizer's own special tokens.

    Both documents are of the pair's second segment: BERT knows only two.
    """
    pair = pair_template(tokenizer)
    before, between, after = pair.literals
    last = pair.segments[3]
    return Template((before, between, between, after), (*pair.segments[:4], last, last, last))


def prompt_template(tokenizer: Tokenizer, prompt: str, end: Sequence[int] = ()) -> Template:
    """The fixed tokens of a prompt such as ``Query: {query} Document: {document} Relevant:``.

    ``end`` follows the prompt: the end of sequence, where a checkpoint was trained with one.

    Raises:
        InputError: the prompt does not begin with its query, or the tokenizer joins pieces across
            blanks, so that texts cannot be tokenised apart.
    """
    parts = list(split_template(prompt))
    slots = [part.slot for part in parts if part.slot is not None]
    if not slots or slots[0] != "query" or not all(s.startswith("document") for s in slots[1:]):
        raise InputError(
            "prompt must hold {query} and then {document} or {document0} {document1},"
            f" got {prompt!r}"
        )
    fixed = [part.fixed for part in parts]
    fixed += [""] * (len(slots) + 1 - len(fixed))
    literals = tokenize_fixed(tokenizer, fixed)
    words = dict(zip(slots, WORDS, strict=False))
    apart = chain(*chain(*zip(literals, tokenize(tokenizer, list(words.values())), strict=False)))
    whole = tokenize_fixed(tokenizer, [prompt.format(**words)])[0]
    if [*apart, *literals[-1]] != whole:
        raise InputError(
            f"prompt must be one that its tokenizer splits at blanks, got {prompt!r}"
            f" for a {type(tokenizer).__name__}"
        )
    joined = (*map(tuple, literals[:-1]), (*literals[-1], *end))
    return Template(joined, (0,) * (2 * len(slots) + 1))
