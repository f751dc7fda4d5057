"""Any encoder of transformers in its own padded forward, where its family is unknown here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recross.checkpoints.loaded import Model, ModelConfig
from recross.errors import InputError
from recross.inference.batches import PackedBatch, find_masked_filler, reads_segments
from recross.inference.encoders.backends.last_token import make_reader
from recross.inference.encoders.encoder import Computation, Encoder, EncoderForward
from recross.inference.encoders.padding_probe import reads_padding
from recross.machine.backends import Precision
from recross.machine.hardware import Hardware

POSITION_TABLES = ("position_embeddings", "wpe", "embed_positions")
"""What embeddings of absolute positions are called."""


class PaddedFamily(Encoder):
    """Encoders whose structure is not known here; names and numbers are found in the model."""

    packs = False
    classifiers: ClassVar[tuple[str, ...]] = ("",)

    def supports(self, config: ModelConfig) -> bool:
        """Accept every config: transformers itself computes the forward pass."""
        return True

    def positions(self, model: Model) -> int | None:
        """Rows of the table of positions, but for those up to its padding; or as the config says.

        Rotary positions have no table, and no meaning beyond those trained; relative ones have no
        end.
        """
        config = model.config.get_text_config()
        tables = [
            module
            for name, module in model.named_modules()
            if name.rpartition(".")[2] in POSITION_TABLES and isinstance(module, nn.Embedding)
        ]
        if tables:
            return min(map(_rows, tables))
        return config.max_position_embeddings if getattr(config, "rope_parameters", None) else None

    def layers(self, model: Model) -> Sequence[nn.Module]:
        """The first list of as many modules as the encoder has layers, or shared groups of them."""
        config = model.config.get_text_config()
        lists = [m for m in find_backbone(model).modules() if isinstance(m, nn.ModuleList)]
        for name in ("num_hidden_layers", "num_hidden_groups"):
            number = getattr(config, name, None)
            layers = next((modules for modules in lists if len(modules) == number), None)
            if layers is not None:
                return list(layers)
        raise InputError(
            f"checkpoint must be of a network whose layers are known, to be trained, got a"
            f" {type(model).__name__} (model_type {config.model_type})"
        )

    def can_recompute(self, model: Model) -> bool:
        """Whether the model's own forward knows how."""
        return bool(model.supports_gradient_checkpointing)

    def dropouts(self, config: ModelConfig) -> tuple[str, ...]:
        """All settings that are called so."""
        settings = config.get_text_config().to_dict()
        return tuple(n for n, v in settings.items() if "dropout" in n and isinstance(v, float))

    def name_attention(self, model: Model, hardware: Hardware) -> str:
        """Say which of transformers' own attentions computes a model's states."""
        return f"padded, transformers' {model.config._attn_implementation}"

    def build_forward(self, model: Model, computation: Computation) -> PaddedForward:
        """The model's own forward, with its own linear layers, under autocast to the type."""
        if computation.recompute:
            self.check_recompute(model)
            recompute_activations(model)
        return PaddedForward(model, computation.dtype)


class SinglePaddedFamily(PaddedFamily):
    """Those whose own forward fails in half precision.

    DeBERTa's first version fills what is not seen with a number of single precision.
    """

    precisions: tuple[Precision, ...] = ("fp32",)


class PaddedForward(EncoderForward):
    """A model's own forward; its own modules say how much they drop."""

    def __init__(self, model: Model, dtype: torch.dtype = torch.float32) -> None:
        self.model = model
        self.dtype = dtype
        self.calls_vary = reads_padding(model)

    def states(self, batch: PackedBatch, dropout: float = 0.0) -> Tensor:
        """The encoder's output at every token, ``(T, D)``."""
        return self._padded_states(batch)[batch.rows, batch.positions]

    def first_states(self, batch: PackedBatch, dropout: float = 0.0) -> Tensor:
        """The encoder's output at the first token of each sequence, ``(B, D)``."""
        return self._padded_states(batch)[:, 0]

    def last_states(self, batch: PackedBatch, dropout: float = 0.0) -> Tensor:
        """The encoder's output at the last token of each sequence, ``(B, D)``."""
        keeps = getattr(self.model.config, "use_cache", None) is not None
        states = self._padded_states(batch, **({"use_cache": False} if keeps else {}))
        row = torch.arange(len(batch), device=states.device)
        return states[row, batch.layout.offsets.diff() - 1]

    def logits(self, batch: PackedBatch, dropout: float = 0.0) -> Tensor:
        """Logits of the model's head, ``(B, labels)``; of a head on tokens those of the first."""
        logits = self.model_logits(batch)
        return logits if logits.ndim == 2 else logits[:, 0]

    def model_logits(self, batch: PackedBatch, **more: Tensor | bool) -> Tensor:
        """The logits of the whole model, its head or decoder included, in their own shape."""
        reader = make_reader(self.model)
        return self._compute(lambda inputs: reader(**inputs, **more).logits, batch)

    def _padded_states(self, batch: PackedBatch, **more: bool) -> Tensor:
        backbone = find_backbone(self.model)
        return self._compute(lambda inputs: backbone(**inputs, **more).last_hidden_state, batch)

    def _compute(self, ask: Callable[[Mapping[str, Tensor]], Tensor], batch: PackedBatch) -> Tensor:
        with self._autocast():
            return compute_padded(self.model, ask, batch, apart=self.calls_vary)

    def _autocast(self) -> AbstractContextManager[object]:
        """In single precision what is around it decides: training has an autocast of its own."""
        if self.dtype == torch.float32:
            return nullcontext()
        return torch.autocast(self.model.device.type, self.dtype)


def _rows(table: nn.Embedding) -> int:
    """Rows that positions use: they begin after that of padding, if there is one (RoBERTa)."""
    unused = 0 if table.padding_idx is None else table.padding_idx + 1
    return table.num_embeddings - unused


def find_backbone(model: Model) -> nn.Module:
    """The encoder within a model with a head, or with a decoder."""
    has_decoder = model.config.is_encoder_decoder
    backbone: nn.Module = model.get_encoder() if has_decoder else model.base_model
    return backbone


def pad_inputs(model: Model, batch: PackedBatch) -> dict[str, Tensor]:
    """A batch as keyword arguments of a model; segments only where it has more than one."""
    tokens, segments, mask = batch.padded(find_masked_filler(model.config))
    inputs = {"input_ids": tokens, "attention_mask": mask}
    if reads_segments(model.config):
        inputs["token_type_ids"] = segments
    return inputs


def compute_padded(
    model: Model,
    ask: Callable[[Mapping[str, Tensor]], Tensor],
    batch: PackedBatch,
    *,
    apart: bool,
) -> Tensor:
    """What a model answers to a padded batch; ``apart``, one length after the other, unpadded.

    Answers of tokens are filled up with zeros then, ``(B, L, ...)``.
    """
    if not apart:
        return ask(pad_inputs(model, batch))
    answers = [ask(pad_inputs(model, part)) for part in batch.by_length()]
    if answers[0].ndim > 2:
        longest = max(answer.shape[1] for answer in answers)
        answers = [F.pad(one, (0, 0, 0, longest - one.shape[1])) for one in answers]
    return torch.cat(answers)


def recompute_activations(model: Model) -> None:
    """Let a model compute activations twice in its own forward."""
    if hasattr(model, "activation_checkpointing_enable"):
        model.activation_checkpointing_enable()
    else:  # transformers before that name
        model.gradient_checkpointing_enable()
