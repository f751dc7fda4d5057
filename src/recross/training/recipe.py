"""How a re-ranker is trained: the settings of a fine-tuning, and what they are part of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Literal, Protocol, runtime_checkable

from recross.collections.collection import Collection
from recross.errors import InputError
from recross.inference.preparation import Preparation
from recross.machine.hardware import Hardware
from recross.records import TrainingGroup
from recross.training.losses.loss import Loss
from recross.training.optimisation import GeometricRise, Optimisation

Teach = Callable[[Sequence[TrainingGroup], Collection], Sequence[TrainingGroup]]
"""Gives groups, whose texts the collection knows, their teacher's scores, in their order."""


@runtime_checkable
class Training(Protocol):
    """How, or whether, a re-ranker is trained."""

    @property
    def enabled(self) -> bool:
        """Whether there is anything to do."""


@dataclass(frozen=True)
class NoTraining:
    """Scores with the weights as they are."""

    enabled: bool = False


@dataclass(frozen=True)
class FineTuning:
    """Fine-tuning by AdamW with warm-up and linear decay.

    ``batch_size`` counts groups (one positive with ``negatives_per_positive`` negatives) per
    optimiser step, whatever fits in memory at once. The first ``easy_share`` of the steps learns
    from random negatives, which a fresh head needs before it can tell hard ones apart. With
    a ``frozen_share`` the word embeddings and that share of the layers, from the first and
    rounded down, stay as they are.
    ``validations`` times, evenly spaced and last
    after the last step, the first ``validation_queries`` development queries are re-ranked to
    ``validation_depth``; the weights with the best ``measure`` are kept. ``precision=None`` trains
    in the hardware target's own; a study of hardware names one, and then trains once for all.

    ``layer_decay`` below 1 lets lower layers learn more slowly. ``averaging`` is the decay of an
    exponential moving average of the weights, which is then validated and kept. Training ends early
    after ``patience`` validations without a gain. ``gradient_checkpointing`` computes activations
    twice to hold few. ``lora_rank`` trains low-rank additions to all linear layers of the encoder,
    merged into the weights at the end (LoRA, Hu et al. 2022; extra ``lora``). The state is saved
    every ``save_seconds``, and an interrupted training goes on from there to the same weights.
    """

    steps: int = 1000
    batch_size: int = 16
    negatives_per_positive: int = 7
    learning_rate: float = 5e-5
    head_learning_rate: float | None = None
    weight_decay: float = 0.01
    warmup_share: float = 0.1
    max_grad_norm: float = 1.0
    first_stage_weight: float = 0.0
    easy_share: float = 0.0
    frozen_share: float | None = None
    dropout: float = 0.1
    validations: int = 4
    validation_queries: int | None = 200
    validation_depth: int = 100
    measure: str = "MRR@10"
    precision: Literal["fp32", "bf16"] | None = None
    layer_decay: float = 1.0
    averaging: float | None = None
    patience: int | None = None
    gradient_checkpointing: bool = False
    lora_rank: int | None = None
    save_seconds: float = field(default=60.0, compare=False)

    enabled = True

    def __post_init__(self) -> None:
        for name in (
            *("steps", "batch_size", "negatives_per_positive"),
            *("validations", "validation_depth", "patience", "lora_rank"),
        ):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(f"{name} must be at least 1, got {value}")
        if self.steps % self.validations:
            raise InputError(
                f"steps must be a multiple of validations={self.validations}, got {self.steps}"
            )
        if self.learning_rate <= 0:
            raise InputError(f"learning_rate must be positive, got {self.learning_rate}")
        if self.precision not in (None, "fp32", "bf16"):
            raise InputError(f"precision must be fp32, bf16 or null, got {self.precision!r}")
        self._check_shares()

    def _check_shares(self) -> None:
        for name in ("warmup_share", "easy_share", "dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise InputError(f"{name} must lie in [0, 1), got {getattr(self, name)}")
        for name in ("layer_decay", "averaging"):
            value = getattr(self, name)
            if value is not None and not 0 < value <= 1:
                raise InputError(f"{name} must lie in (0, 1], got {value}")
        if self.frozen_share is not None and not 0 <= self.frozen_share <= 1:
            raise InputError(f"frozen_share must lie in [0, 1], got {self.frozen_share}")

    def hardware(self, target: Hardware) -> Hardware:
        """What a hardware target is for training: torch's own products, in ``precision``."""
        return replace(target, backend="torch", precision=self.precision or target.precision)

    @property
    def preparation(self) -> Preparation:
        """What of the network learns, and how."""
        return Preparation(
            self.frozen_share, self.dropout, self.gradient_checkpointing, self.lora_rank
        )

    @property
    def optimisation(self) -> Optimisation:
        """What the optimiser needs to know."""
        return Optimisation(
            steps=self.steps,
            learning_rate=self.learning_rate,
            head_learning_rate=self.head_learning_rate,
            weight_decay=self.weight_decay,
            warmup_share=self.warmup_share,
            max_grad_norm=self.max_grad_norm,
            first_stage_weight=self.first_stage_weight,
            layer_decay=self.layer_decay,
        )


@dataclass(frozen=True)
class RangeSearch(FineTuning):
    """A learning-rate range test (Smith 2017): ``steps`` from ``lowest_rate`` to ``learning_rate``.

    The rate grows by a constant factor a step, that of the head in proportion. What training
    records is the rate at which the smoothed loss falls most steeply, a good first guess at a peak.
    The search ends where the loss is four times its lowest or no number, validates nothing, and
    leaves the weights as they were.
    """

    lowest_rate: float = 1e-6

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.lowest_rate < self.learning_rate:
            raise InputError(
                f"lowest_rate must lie in (0, learning_rate={self.learning_rate}),"
                f" got {self.lowest_rate}"
            )

    @property
    def optimisation(self) -> Optimisation:
        """A rate that only rises."""
        share = self.lowest_rate / self.learning_rate
        return GeometricRise(**asdict(super().optimisation), lowest_share=share)


@dataclass(frozen=True)
class Recipe:
    """What is minimised, how, from which seed, and by whose scores."""

    loss: Loss
    training: FineTuning
    seed: int = 0
    teach: Teach | None = None
