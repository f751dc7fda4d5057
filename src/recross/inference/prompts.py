"""Prompts tokenised whole, since most vocabularies join blanks with the words after them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from recross.checkpoints.contracts import PromptContract
from recross.checkpoints.loaded import Encoding, Tokenizer
from recross.checkpoints.templates import JOINT_SLOT, escape_braces, split_template
from recross.errors import InputError
from recross.inference.sequences import Sequences
from recross.inference.spans import Ints
from recross.inference.texts.control_tokens import JOINT, clear_text, find_text_tokenizer
from recross.inference.texts.texts import NumberedTexts
from recross.inference.tokens import text_template

LEAST_ROOM = 8
"""Tokens that a limit must leave to query and document beside the fixed text."""


class Written(NamedTuple):
    """A prompt as one string, and where in it the query and the document stand."""

    text: str
    query: tuple[int, int]
    document: tuple[int, int]


@dataclass(frozen=True)
class Prompter:
    """Writes a contract's prompts and cuts their tokens: the document's, then the query's.

    Fixed text and the instruction are never cut. Control tokens are such in fixed text alone.
    """

    tokenizer: Tokenizer
    contract: PromptContract

    def __post_init__(self) -> None:
        if find_text_tokenizer(self.tokenizer) is None:
            raise InputError(
                "tokenizer of a causal model must be a fast one (tokenizer.json), got"
                f" {type(self.tokenizer).__name__}"
            )
        fixed = len(self._tokenize([self._write("", "")])[0].ids) + self._outside
        if self.contract.max_length < fixed + LEAST_ROOM:
            raise InputError(
                f"max_length must leave {LEAST_ROOM} tokens beside the {fixed} of the prompt"
                f" {self.contract.name!r}, got {self.contract.max_length}"
            )

    def encode(self, queries: NumberedTexts, documents: NumberedTexts, items: Ints) -> Sequences:
        """Turn items of (query number, document number) into token sequences."""
        asked = self._prepare(queries.strings())
        read = self._prepare(documents.strings())
        prompts = [self._write(asked[query], read[document]) for query, document in items.tolist()]
        rows: list[list[int]] = []
        lost = np.zeros((len(items), 2), dtype=np.int64)
        for number, (prompt, whole) in enumerate(
            zip(prompts, self._tokenize(prompts), strict=True)
        ):
            kept, lost[number] = self._fit(prompt, whole)
            rows.append([*self._begin, *kept, *self._end])
        return Sequences.of(rows, lost)

    def _prepare(self, texts: Sequence[str]) -> list[str]:
        if self.contract.stripped:
            texts = [text.strip() for text in texts]
        return [clear_text(text) for text in texts]

    @cached_property
    def _begin(self) -> Sequence[int]:
        return text_template(self.tokenizer).literals[0] if self.contract.framed else ()

    @cached_property
    def _end(self) -> Sequence[int]:
        if self.contract.framed:
            return text_template(self.tokenizer).literals[1]
        if not self.contract.add_eos:
            return ()
        if self.tokenizer.eos_token_id is None:
            raise InputError("add_eos needs a tokenizer with an end of sequence, got one without")
        return (self.tokenizer.eos_token_id,)

    @property
    def _outside(self) -> int:
        return len(self._begin) + len(self._end)

    @cached_property
    def _frame(self) -> tuple[tuple[str, str | None], ...]:
        """Fixed texts, as they are tokenised, each with the text that follows it."""
        texts = find_text_tokenizer(self.tokenizer)
        assert texts is not None  # checked when this was made
        contract, fixed = self.contract, ""
        frame: list[tuple[str, str | None]] = []
        before = f"{escape_braces(contract.prefix)}{{}}" if contract.prefix else ""
        after = f"{{}}{escape_braces(contract.suffix)}" if contract.suffix else ""
        for part in split_template(f"{before}{contract.asked_template}{after}"):
            fixed += texts.write_fixed(part.fixed)
            match part.slot:
                case "instruction":
                    fixed += clear_text(contract.instruction or "")
                case slot if slot == JOINT_SLOT:
                    fixed += JOINT
                case str(slot):
                    frame.append((fixed, slot))
                    fixed = ""
        return (*frame, (fixed, None))

    def _write(self, query: str, document: str) -> Written:
        text, spans = "", {}
        for fixed, slot in self._frame:
            text += fixed
            if slot is not None:
                filled = query if slot == "query" else document
                spans[slot] = len(text), len(text) + len(filled)
                text += filled
        return Written(text, spans["query"], spans["document"])

    def _tokenize(self, prompts: Iterable[Written]) -> list[Encoding]:
        texts = find_text_tokenizer(self.tokenizer)
        assert texts is not None  # checked when this was made
        return texts.encode([prompt.text for prompt in prompts])

    def _fit(self, prompt: Written, whole: Encoding) -> tuple[list[int], tuple[int, int]]:
        """Tokens that fit the limits, and how many of the query and of the document were cut."""
        ids = whole.ids
        dropped = self._find_joints(prompt.text, whole)
        room = self.contract.max_length - self._outside
        limit, over = self.contract.max_query_length, len(ids) - len(dropped) - room
        if over <= 0 and not dropped and limit is None:
            return ids, (0, 0)
        query = _within(prompt.text, whole, *prompt.query)
        beyond = query[limit:] if limit is not None else []
        document = _within(prompt.text, whole, *prompt.document) if over > len(beyond) else []
        gone = _last(document, over - len(beyond))
        gone_too = [*_last(query[:limit], over - len(beyond) - len(gone)), *beyond]
        dropped |= {*gone, *gone_too}
        kept = [token for position, token in enumerate(ids) if position not in dropped]
        return kept, (len(gone_too), len(gone))

    def _find_joints(self, text: str, whole: Encoding) -> set[int]:
        """Positions of the tokens that joints became."""
        if not self._has_joints:
            return set()
        return {
            position
            for position, (first, _) in enumerate(whole.offsets)
            if text.startswith(JOINT, first)
        }

    @cached_property
    def _has_joints(self) -> bool:
        return any(JOINT in fixed for fixed, _ in self._frame)


def _last(positions: Sequence[int], count: int) -> list[int]:
    """The last positions, at most so many; none for a count below one."""
    return list(positions[max(len(positions) - count, 0) :]) if count > 0 else []


def _within(text: str, whole: Encoding, start: int, stop: int) -> list[int]:
    """Positions of tokens that lie wholly within a span of characters, a blank before it aside."""
    from_first = start - 1 if start and text[start - 1].isspace() else start
    return [
        position
        for position, (first, last) in enumerate(whole.offsets)
        if last > start and last <= stop and first >= from_first
    ]
