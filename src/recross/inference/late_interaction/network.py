"""The network of late interaction: token vectors of queries and documents, and their MaxSim."""

from __future__ import annotations

from functools import partial
from itertools import accumulate
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from recross.checkpoints.heads import in_single_precision
from recross.checkpoints.late_contract import LateInteractionContract
from recross.checkpoints.late_layouts import LateLayout, StanfordLayout, name_skipped
from recross.checkpoints.loaded import Model, Tokenizer
from recross.inference.batches import PackedBatch
from recross.inference.encoders.attention import by_group
from recross.inference.encoders.encoder import EncoderForward
from recross.inference.encoders.families import find_encoder
from recross.inference.encoders.padded import find_backbone, recompute_activations
from recross.inference.late_interaction.marked_texts import find_token, mark_texts
from recross.inference.network import Forward
from recross.inference.paired_texts import PairedBatch
from recross.inference.preparation import Preparation
from recross.inference.sequences import Sequences
from recross.inference.static_batches import find_static_form
from recross.inference.text_encoder import TextEncoder
from recross.inference.texts.texts import NumberedTexts
from recross.machine.hardware import Hardware


class LateInteractionNetwork(TextEncoder):
    """An encoder with linear layers on every token, its tokenizer and its contract.

    The model has them as its ``linear``; it is saved in the ``layout`` that it came in.
    """

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
        layout: LateLayout = StanfordLayout(),
    ) -> None:
        super().__init__(
            *(model, tokenizer, contract, find_encoder(model.config)),
            limits={
                "query_length": contract.query_length,
                "document_length": contract.document_length,
            },
            head_is_fresh=head_is_fresh,
        )
        self._layout = layout
        self._queries = mark_texts(
            tokenizer, contract.query_marker, contract.query_prompt, contract.query_length
        )
        self._documents = mark_texts(
            tokenizer, contract.document_marker, contract.document_prompt, contract.document_length
        )
        self._filler = _find_filler(tokenizer, contract)
        skipped = torch.zeros(model.get_input_embeddings().num_embeddings, dtype=torch.bool)
        pieces = name_skipped(tokenizer, contract)
        skipped[[find_token(tokenizer, piece, "skiplist") for piece in pieces]] = True
        self.register_buffer("_skipped", skipped, persistent=False)

    @property
    def query_length(self) -> int:
        """How many tokens every query has at least, with the masks that fill it up."""
        filled_to = self.contract.filled_to
        return self.contract.query_length if filled_to is None else filled_to

    def query_tokens(self, queries: NumberedTexts) -> Sequences:
        """Tokens of each query with its marker, cut to ``query_length``."""
        return self._queries.encode(queries)

    def document_tokens(self, documents: NumberedTexts) -> Sequences:
        """Tokens of each document with its marker, cut to ``document_length``."""
        return self._documents.encode(documents)

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
        """Vectors ``(Q, L, dimension)``; masks are vectors too, and what is no token is zero.

        They come from the model's own forward, where masks may be seen or not, and its own dropout.
        """
        tokens, _, mask = queries.padded(self._filler, at_least=self.query_length)
        places = torch.arange(tokens.shape[1], device=tokens.device)
        counted = (mask > 0) | (places < self.query_length)
        is_full = self.contract.filled_to is None
        seen = (None if is_full else counted.long()) if self.contract.attends_to_masks else mask
        backbone = find_backbone(self.model)
        states = backbone(input_ids=tokens, attention_mask=seen).last_hidden_state
        vectors = self._project(states)
        return vectors if is_full else vectors * counted[:, :, None]

    def document_vectors(
        self, documents: PackedBatch, forward: EncoderForward, dropout: float = 0.0
    ) -> Tensor:
        """Vectors of every token, ``(T, dimension)``."""
        return self._project(forward.states(documents, dropout).float())

    def save_weights(self, folder: Path) -> None:
        """Save in the layout that the model came in."""
        self._layout.save(self.model, self.tokenizer, self.contract, folder)

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

    def _project(self, states: Tensor) -> Tensor:
        vectors: Tensor = self.model.linear(states)
        return F.normalize(vectors, dim=-1) if self.contract.normalises else vectors


def _find_filler(tokenizer: Tokenizer, contract: LateInteractionContract) -> int:
    """What fills queries up: ``[MASK]``, and the end of text where a tokenizer has none."""
    if contract.filler is not None:
        return find_token(tokenizer, contract.filler, "filler")
    found = (tokenizer.mask_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id)
    return next((token for token in found if token is not None), 0)
