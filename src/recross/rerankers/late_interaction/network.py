"""The network of late interaction: token vectors of queries and documents, and their MaxSim."""

from __future__ import annotations

import string
from functools import partial
from itertools import accumulate

import torch
import torch.nn.functional as F
from torch import Tensor

from recross.checkpoints.contracts import LateInteractionContract
from recross.checkpoints.heads import in_single_precision
from recross.checkpoints.loaded import Model, Tokenizer
from recross.errors import InputError
from recross.inference.batches import PackedBatch
from recross.inference.encoders.attention import by_group
from recross.inference.encoders.encoder import EncoderForward
from recross.inference.encoders.families import find_encoder
from recross.inference.encoders.padded import recompute_activations
from recross.inference.network import Forward
from recross.inference.paired_texts import PairedBatch
from recross.inference.preparation import Preparation
from recross.inference.sequences import Sequences
from recross.inference.static_batches import find_static_form
from recross.inference.text_encoder import TextEncoder
from recross.inference.texts.texts import NumberedTexts
from recross.inference.texts.tokenising import tokenize
from recross.inference.tokens import Joiner, Template
from recross.machine.hardware import Hardware


class LateInteractionNetwork(TextEncoder):
    """A BERT with a linear layer on every token, its tokenizer and its contract."""

    contract: LateInteractionContract
    kind = "late-interaction network"
    heads = ("linear",)
    _skipped: Tensor  # of every token of the vocabulary, whether documents lose it

    def __init__(
        self,
        model: Model,
        tokenizer: Tokenizer,
        contract: LateInteractionContract,
        head_is_fresh: bool = False,
    ) -> None:
        super().__init__(
            *(model, tokenizer, contract, find_encoder(model.config)),
            limits={
                "query_length": contract.query_length,
                "document_length": contract.document_length,
            },
            head_is_fresh=head_is_fresh,
        )
        self._query_marker = _token(tokenizer, contract.query_marker)
        self._document_marker = _token(tokenizer, contract.document_marker)
        skipped = torch.zeros(model.get_input_embeddings().num_embeddings, dtype=torch.bool)
        skipped[_punctuation(tokenizer) if contract.skip_punctuation else []] = True
        self.register_buffer("_skipped", skipped, persistent=False)

    @property
    def query_length(self) -> int:
        """How many tokens every query has, with the masks that fill it up."""
        return self.contract.query_length

    def query_tokens(self, queries: NumberedTexts) -> Sequences:
        """Tokens of each query with its marker, cut to ``query_length``."""
        return self._mark(queries, self._query_marker, self.contract.query_length)

    def document_tokens(self, documents: NumberedTexts) -> Sequences:
        """Tokens of each document with its marker, cut to ``document_length``."""
        return self._mark(documents, self._document_marker, self.contract.document_length)

    def prepare_training(self, settings: Preparation) -> None:
        """Set dropout, freeze and add what ``settings`` say; queries have their own forward."""
        super().prepare_training(settings)
        if settings.gradient_checkpointing:
            recompute_activations(self.model)

    def document_encoder(self, hardware: Hardware) -> Forward:
        """Return a fast function to vectors of documents, with the weights as they are now."""
        self.check(hardware)
        self.to(hardware.device)
        forward = self.frozen(hardware)
        vectors = partial(self.document_vectors, forward=forward)
        return find_static_form(vectors, self.family, hardware, per_token=True)

    def query_vectors(
        self, queries: PackedBatch, forward: EncoderForward | None = None, dropout: float = 0.0
    ) -> Tensor:
        """Unit vectors ``(Q, query_length, dimension)``; masks are vectors too.

        They come from the model's own forward, where masks may be seen or not, and its own dropout.
        """
        filler = self.tokenizer.mask_token_id
        tokens, _, attention_mask = queries.padded(filler, at_least=self.contract.query_length)
        seen = None if self.contract.attends_to_masks else attention_mask  # None: every token
        states = self.model.bert(input_ids=tokens, attention_mask=seen).last_hidden_state
        return F.normalize(self.model.linear(states), dim=-1)

    def document_vectors(
        self, documents: PackedBatch, forward: EncoderForward, dropout: float = 0.0
    ) -> Tensor:
        """Unit vectors of every token, ``(T, dimension)``."""
        states = forward.states(documents, dropout)
        return F.normalize(self.model.linear(states.float()), dim=-1)

    def is_kept(self, tokens: Tensor) -> Tensor:
        """Which document tokens take part, ``(T,)``."""
        return ~self._skipped[tokens]

    def similarities(self, queries: Tensor, documents: Tensor, batch: PairedBatch) -> Tensor:
        """MaxSim of a batch's pairs, ``(B,)``: one product for all documents of a length."""
        groups, sizes = batch.documents.groups, batch.group_sizes
        kept = self.is_kept(batch.documents.tokens)
        order = torch.argsort(batch.document_rows, stable=True)
        grouped = zip(
            torch.split(queries[batch.query_rows[order]], sizes),
            torch.split(batch.document_rows[order], sizes),
            by_group(documents, groups),
            by_group(kept[:, None], groups),
            accumulate((count for count, _ in groups), initial=0),
            strict=False,
        )
        scores = []
        for query, rows, document, is_kept, first in grouped:
            places = rows - first
            with in_single_precision(query.device):
                similar = torch.einsum("nqk,nlk->nql", query, document[places])
            similar = similar.masked_fill(~is_kept[places].transpose(1, 2), float("-inf"))
            scores.append(similar.amax(dim=-1).sum(dim=-1))
        return torch.cat(scores)[torch.argsort(order)]

    def _mark(self, texts: NumberedTexts, marker: int, limit: int) -> Sequences:
        """``[CLS] marker text [SEP]``, at most ``limit`` tokens of each."""
        first, last = self.tokenizer.cls_token_id, self.tokenizer.sep_token_id
        template = Template(((first, marker), (last,)), (0, 0, 0))
        return Joiner(self.tokenizer, template, limit).encode_each(texts)


def _token(tokenizer: Tokenizer, token: str) -> int:
    number = tokenizer.get_vocab().get(token)
    if number is None:
        raise InputError(f"marker must be an entry of the tokenizer's vocabulary, got {token!r}")
    return int(number)


def _punctuation(tokenizer: Tokenizer) -> list[int]:
    return sorted({ids[0] for ids in tokenize(tokenizer, list(string.punctuation)) if ids})
