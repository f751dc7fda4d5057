"""How a re-ranker is trained: the settings of a fine-tuning, and the plan they are part of."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Protocol, runtime_checkable

from recross.errors import InputError
from recross.evaluation.measures import check_measures
from recross.machine.hardware import Hardware
from recross.parts.bounds import Below, Ge, Gt, Le, Lt, checked
from recross.rerankers.reranker import Reranker
from recross.training.losses.loss import Loss

if TYPE_CHECKING:
    from recross.inference.preparation import Preparation
    from recross.training.optimisation import Optimisation

MOST_GROUPS_READ = 1_000_000_000
"""What a training may read: which groups each step learns from is drawn before the first."""


@runtime_checkable
class Training(Protocol):
    """How, or whether, a re-ranker is trained."""

    @property
    def enabled(self) -> bool:
        """Whether there is anything to do."""


@dataclass(frozen=True)
@checked
class NoTraining:
    """Scores with the weights as they are."""

    enabled: Literal[False] = False


@dataclass(frozen=True)
@checked
class FineTuning:
    """Fine-tuning by AdamW with warm-up and linear decay.

    ``batch_size`` counts groups (one positive with ``negatives_per_positive`` negatives) per
    optimiser step, whatever fits in memory at once. The first ``easy_share`` of the steps learns
    from random negatives, which a fresh head needs before it can tell hard ones apart. With
    a ``frozen_share`` the word embeddings and that share of the layers, from the first and
    rounded down, stay as they are.

    ``validations`` times (at most after every step), as evenly spaced as whole steps are and the
    last time after the last one, the first ``validation_queries`` development queries are re-ranked
    to ``validation_depth``; the weights with the best ``measure`` are kept. ``precision=None``
    trains in the hardware target's own; a study of hardware names one, and then trains once for
    all.

    ``layer_decay`` below 1 lets lower layers learn more slowly. ``averaging`` is the decay of an
    exponential moving average of the weights, which is then validated and kept. Training ends early
    after ``patience`` validations without a gain. ``gradient_checkpointing`` computes activations
    twice to hold few. ``lora_rank`` trains low-rank additions to all linear layers of the encoder,
    merged into the weights at the end (LoRA, Hu et al. 2022; extra ``lora``). The state is saved
    every ``save_seconds``, and an interrupted training resumes there, to the same weights.
    """

    steps: Annotated[int, Ge(1)] = 1000
    batch_size: Annotated[int, Ge(1), Le(65_536)] = 16
    negatives_per_positive: Annotated[int, Ge(1), Le(65_536)] = 7
    learning_rate: Annotated[float, Gt(0)] = 5e-5
    head_learning_rate: Annotated[float, Gt(0)] | None = None
    weight_decay: Annotated[float, Ge(0)] = 0.01
    warmup_share: Annotated[float, Ge(0), Lt(1)] = 0.1
    max_grad_norm: Annotated[float, Gt(0)] = 1.0
    first_stage_weight: float = 0.0
    easy_share: Annotated[float, Ge(0), Lt(1)] = 0.0
    frozen_share: Annotated[float, Ge(0), Le(1)] | None = None
    dropout: Annotated[float, Ge(0), Lt(1)] = 0.1
    validations: Annotated[int, Ge(1)] = 4
    validation_queries: Annotated[int, Ge(1)] | None = 200
    validation_depth: Annotated[int, Ge(1)] = 100
    measure: str = "MRR@10"
    precision: Literal["fp32", "bf16"] | None = None
    layer_decay: Annotated[float, Gt(0), Le(1)] = 1.0
    averaging: Annotated[float, Gt(0), Lt(1)] | None = None
    patience: Annotated[int, Ge(1)] | None = None
    gradient_checkpointing: bool = False
    lora_rank: Annotated[int, Ge(1), Le(65_536)] | None = None
    save_seconds: Annotated[float, Ge(0)] = field(default=60.0, compare=False)

    enabled: ClassVar[bool] = True
    is_search: ClassVar[bool] = False
    """Whether it only tries rates: its loss may be no number, and the weights stay as they were."""

    def __post_init__(self) -> None:
        check_measures([self.measure], "measure")
        if self.steps * self.batch_size > MOST_GROUPS_READ:
            raise InputError(
                f"steps must read at most {MOST_GROUPS_READ:,} groups, batch_size={self.batch_size}"
                f" each, got {self.steps}"
            )

    def validates_after(self, step: int) -> bool:
        """Whether the weights are validated after this many steps."""
        done, before = (n * self.validations // self.steps for n in (step, step - 1))
        return not self.is_search and done > before

    def hardware(self, target: Hardware) -> Hardware:
        """The hardware target as training uses it: with the torch back-end, in ``precision``."""
        return replace(target, backend="torch", precision=self.precision or target.precision)

    @property
    def preparation(self) -> Preparation:
        """What of the network learns, and how."""
        from recross.inference.preparation import Preparation

        return Preparation(
            self.frozen_share, self.dropout, self.gradient_checkpointing, self.lora_rank
        )

    @property
    def optimisation(self) -> Optimisation:
        """What the optimiser needs to know."""
        from recross.training.optimisation import Optimisation

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
@checked
class RangeSearch(FineTuning):
    """A learning-rate range test (Smith 2017): ``steps`` from ``lowest_rate`` to ``learning_rate``.

    The rate grows by a constant factor a step, that of the head in proportion. What training
    records is the rate at which the smoothed loss falls most steeply, a good first guess at a peak.
    The search ends where the loss is four times its lowest or no number, validates nothing, and
    leaves the weights as they were.
    """

    lowest_rate: Annotated[float, Gt(0), Below("learning_rate")] = 1e-6
    is_search: ClassVar[bool] = True

    @property
    def optimisation(self) -> Optimisation:
        """A rate that only rises."""
        from recross.training.optimisation import GeometricRise

        share = self.lowest_rate / self.learning_rate
        return GeometricRise(**asdict(super().optimisation), lowest_share=share)


@dataclass(frozen=True)
class TrainingPlan:
    """What is minimised, how, from which seed, and by the scores of which teacher, if any."""

    loss: Loss
    training: FineTuning
    seed: int = 0
    teacher: Reranker | None = None
