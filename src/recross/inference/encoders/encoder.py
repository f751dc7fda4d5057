"""What an encoder family is: what differs between families, and their padding-free forward.

To add a family: a file with its ``Encoder`` and its ``PackedForward``, a line in
``families.FAMILIES``, and a test that both equal Hugging Face's padded forward.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import partial
from typing import ClassVar, Generic, NamedTuple, TypeVar

import torch
from torch import Tensor, nn

from recross.checkpoints.loaded import Model, ModelConfig
from recross.errors import InputError
from recross.inference.batches import PackedBatch
from recross.inference.encoders.affine import MakeAffine, freeze_affine
from recross.inference.encoders.attention import Attention
from recross.inference.encoders.layer_passes import pass_through, within
from recross.inference.encoders.packed_attention import has_kernel_for
from recross.machine.backends import Precision
from recross.machine.hardware import Hardware

Layer = TypeVar("Layer")

BY_GROUPS, BY_OFFSETS = "without padding, by groups of equal length", "without padding, by offsets"
"""How the attention of a padding-free forward goes, in the record of a run."""
IN_BLOCKS = "in blocks of about one length"


class Computation(NamedTuple):
    """How a forward is computed: over which linear layers, in what type, and what it keeps.

    ``make`` gives the linear layers, and ``dtype`` is that of their products. ``first_only``: of
    the last layer only first tokens are wanted. ``recompute`` keeps only the layers' outputs for
    the backward pass (Chen et al. 2016). ``modules`` are those that hold the layers' weights.
    """

    make: MakeAffine
    dtype: torch.dtype
    first_only: bool
    recompute: bool
    modules: Sequence[nn.Module]


class EncoderForward(ABC):
    """The forward of one model's encoder; ``dropout`` is what training wants, scoring none."""

    calls_vary: bool = False
    """Whether layers are called as often as a batch has sequences of other lengths."""

    @abstractmethod
    def states(self, batch: PackedBatch, dropout: float = 0.0) -> Tensor:
        """The encoder's output at every token, ``(T, D)``."""

    @abstractmethod
    def first_states(self, batch: PackedBatch, dropout: float = 0.0) -> Tensor:
        """The encoder's output at the first token of each sequence, ``(B, D)``."""

    @abstractmethod
    def last_states(self, batch: PackedBatch, dropout: float = 0.0) -> Tensor:
        """The encoder's output at the last token of each sequence, ``(B, D)``."""

    @abstractmethod
    def logits(self, batch: PackedBatch, dropout: float = 0.0) -> Tensor:
        """The logits of a classifier's head, ``(B, labels)``, in single precision."""


class PackedForward(EncoderForward, Generic[Layer]):
    """All sequences of a batch in one row of ``T`` tokens, through one layer after the other.

    ``layers`` have their linear layers as ``computation`` gives them. A family says what a layer
    is; going through the layers is the same for all.
    """

    def __init__(self, model: Model, layers: Sequence[Layer], computation: Computation) -> None:
        self.model = model
        self.layers = layers
        self.modules = computation.modules
        self.dtype = computation.dtype
        self.recompute = computation.recompute

    @abstractmethod
    def embed(self, batch: PackedBatch, dropout: float) -> Tensor:
        """What enters the first layer, ``(T, D)``."""

    @abstractmethod
    def attentions(self, batch: PackedBatch, dropout: float) -> Sequence[Attention]:
        """How the batch's tokens attend in each layer."""

    @abstractmethod
    def through(self, layer: Layer, attention: Attention, states: Tensor) -> Tensor:
        """What leaves a layer, ``(T, D)``."""

    @abstractmethod
    def through_at_first(
        self, layer: Layer, attention: Attention, states: Tensor, starts: Tensor
    ) -> Tensor:
        """What leaves the last layer at first tokens, which stand at ``starts``, ``(B, D)``."""

    def finish(self, states: Tensor, dropout: float) -> Tensor:
        """What an encoder does after its last layer: nothing, unless a family has a final norm."""
        return states

    def states(self, batch: PackedBatch, dropout: float = 0.0) -> Tensor:
        """The encoder's output at every token, ``(T, D)``."""
        attentions = self.attentions(batch, dropout)
        states = self._through_all(self.layers, attentions, self.embed(batch, dropout))
        return self.finish(states, dropout)

    def first_states(self, batch: PackedBatch, dropout: float = 0.0) -> Tensor:
        """The encoder's output at the first token of each sequence, ``(B, D)``."""
        *others, last = self.attentions(batch, dropout)
        before = self._through_all(self.layers[:-1], others, self.embed(batch, dropout))  # (T, D)
        at_first = partial(self.through_at_first, self.layers[-1], last, starts=batch.starts)
        return self.finish(within(self.modules[-1], at_first)(before), dropout)

    def last_states(self, batch: PackedBatch, dropout: float = 0.0) -> Tensor:
        """The encoder's output at the last token of each sequence, ``(B, D)``."""
        return self.states(batch, dropout)[batch.lasts]

    def _through_all(
        self, layers: Sequence[Layer], attentions: Sequence[Attention], states: Tensor
    ) -> Tensor:
        steps = [
            partial(self.through, layer, attention)
            for layer, attention in zip(layers, attentions, strict=True)
        ]
        return pass_through(steps, self.modules, states, self.recompute)


class Encoder(ABC):
    """A family of encoders whose forward pass can be computed here."""

    packs: bool = True
    """Whether its forward does without padding, over linear layers as one likes."""
    attends_by_offsets: bool = False
    """Whether its attention needs nothing but where sequences begin and end."""
    precisions: tuple[Precision, ...] = ("fp32", "bf16", "fp16")
    """Those in which its activations stay in range."""
    classifiers: ClassVar[tuple[str, ...]]
    """How the names of classes end whose logits its forward computes."""

    @abstractmethod
    def supports(self, config: ModelConfig) -> bool:
        """Whether its forward computes the encoder that a config describes."""

    @abstractmethod
    def positions(self, model: Model) -> int | None:
        """How many tokens a sequence may have; ``None`` where any number will do."""

    @abstractmethod
    def layers(self, model: Model) -> Sequence[nn.Module]:
        """The encoder's layers, from the first to the last, to be frozen or added to.

        Raises:
            InputError: they are not found.
        """

    def list_apart(self, model: Model) -> Sequence[nn.Module]:
        """Modules within layers that are called before their layer is gone through."""
        return ()

    @abstractmethod
    def dropouts(self, config: ModelConfig) -> tuple[str, ...]:
        """Which of a config's settings are dropouts, that of hidden states first."""

    def forward(
        self,
        model: Model,
        make: MakeAffine,
        dtype: torch.dtype = torch.float32,
        *,
        first_only: bool = False,
        recompute: bool = False,
    ) -> EncoderForward:
        """The forward of a model, with linear layers as ``make`` gives them.

        ``first_only``: of the last layer only first tokens are wanted, as ``first_states`` (and
        most heads) want them; ``states`` cannot be asked for then. ``recompute`` activations in the
        backward pass instead of keeping them.
        """
        modules = self.layers(model) if self.packs else ()
        computation = Computation(make, dtype, first_only, recompute, modules)
        return self.build_forward(model, computation)

    def frozen(
        self, model: Model, hardware: Hardware, *, first_only: bool = False
    ) -> EncoderForward:
        """The forward for scoring, over copies of the weights as they are now."""
        make = freeze_affine(hardware.dtype, hardware.batch_tokens)
        return self.forward(model, make, hardware.dtype, first_only=first_only)

    @abstractmethod
    def build_forward(self, model: Model, computation: Computation) -> EncoderForward:
        """The forward of a model of this family, computed as is said."""

    def name_attention(self, model: Model, hardware: Hardware) -> str:
        """Say which attention computes a model's states on hardware, for the record of a run."""
        by_offsets = self.attends_by_offsets and has_kernel_for(hardware.device, hardware.dtype)
        return BY_OFFSETS if by_offsets else BY_GROUPS

    def check_positions(self, model: Model, name: str, tokens: int) -> None:
        """Refuse a limit, called ``name``, that a sequence cannot have.

        Raises:
            InputError: the encoder has fewer positions.
        """
        positions = self.positions(model)
        if positions is not None and tokens > positions:
            raise InputError(
                f"{name} must not exceed the {positions} positions of the"
                f" {type(model).__name__}, got {tokens}"
            )

    def check_recompute(self, model: Model) -> None:
        """Refuse a model whose forward keeps all of its activations.

        Raises:
            InputError: it does.
        """
        if not self.can_recompute(model):
            raise InputError(
                "training.gradient_checkpointing must be false for networks that cannot recompute"
                f" their activations, got true for a {type(model).__name__}"
            )

    def can_recompute(self, model: Model) -> bool:
        """Whether activations can be computed a second time instead of being kept."""
        return True

    def dropout(self, config: ModelConfig) -> float:
        """The dropout of hidden states that a config names."""
        names = self.dropouts(config)
        return float(getattr(config, names[0])) if names else 0.0
