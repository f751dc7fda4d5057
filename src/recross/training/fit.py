"""Fine-tuning a re-ranker on groups, and keeping its best checkpoint."""

from __future__ import annotations

import logging
import shutil
import sys
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint, TQDMProgressBar

from recross.errors import InputError
from recross.hardware import Hardware
from recross.tracking.tracker import Log
from recross.training.data import Phase, StepData
from recross.training.groups import Groups
from recross.training.losses.loss import Loss
from recross.training.module import Optimisation, RankingModule, Trainable, Validation


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

    enabled = True

    def __post_init__(self) -> None:
        for name in (
            *("steps", "batch_size", "negatives_per_positive"),
            *("validations", "validation_depth"),
        ):
            if getattr(self, name) < 1:
                raise InputError(f"{name} must be at least 1, got {getattr(self, name)}")
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
        if self.frozen_share is not None and not 0 <= self.frozen_share <= 1:
            raise InputError(f"frozen_share must lie in [0, 1], got {self.frozen_share}")

    def hardware(self, target: Hardware) -> Hardware:
        """What a hardware target is for training: torch's own products, in ``precision``."""
        return replace(target, backend="torch", precision=self.precision or target.precision)

    @property
    def easy_steps(self) -> int:
        """Steps that learn from random negatives."""
        return round(self.steps * self.easy_share)

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
        )


@dataclass(frozen=True)
class Recipe:
    """What is minimised, how, and from which seed."""

    loss: Loss
    training: FineTuning
    seed: int = 0


def fit(
    reranker: Trainable,
    groups: tuple[Groups, Groups],
    recipe: Recipe,
    hardware: Hardware,
    validation: Validation,
    folder: Path,
    log: Log | None = None,
) -> Mapping[str, Any]:
    """Train the re-ranker's network, save its best weights into ``folder``, and say what it took.

    ``groups`` are those of the easy steps and of the rest; the same ones twice where the recipe
    has no easy steps.
    ``hardware`` decides devices and precision only: the groups of every step follow from the seed.

    Raises:
        InputError: loss, network, groups and hardware do not go together.
    """
    training, seed, network = recipe.training, recipe.seed, reranker.network
    easy, hard = groups
    hardware = training.hardware(hardware)
    _check_hardware(training, hardware)
    _check_loss(recipe.loss, network, (easy, hard) if training.easy_steps else (hard,))
    hardware.prepare()
    network.prepare_training(training.frozen_share, training.dropout)
    data = StepData(
        [
            Phase(easy.groups, training.easy_steps),
            Phase(hard.groups, training.steps - training.easy_steps),
        ],
        validation.collection,
        network,
        batch_size=training.batch_size,
        tokens=hardware.tokens_per_training_pass,
        seed=seed,
    )
    module = RankingModule(
        reranker, recipe.loss, training.optimisation, hardware, data, validation, log
    )
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Lightning's advice on workers and loggers
        best = _train(module, training, hardware, folder / "lightning", seed)
    seconds = time.perf_counter() - start
    state = torch.load(best.best_model_path, map_location="cpu", weights_only=True)["state_dict"]
    module.load_state_dict(state)
    network.cpu().eval().save(folder)
    shutil.rmtree(folder / "lightning")
    pairs = training.steps * training.batch_size * (1 + training.negatives_per_positive)
    return {
        "steps": training.steps,
        "pairs": pairs,
        "seconds": seconds,
        "pairs_per_second": pairs / seconds,
        "groups": len(hard.groups),
        "left_out": dict(hard.left_out),
        "best_step": _step_of(best.best_model_path),
        f"best dev {training.measure}": float(best.best_model_score or 0.0),
    }


def _check_hardware(training: FineTuning, hardware: Hardware) -> None:
    if training.batch_size % hardware.devices:
        raise InputError(
            f"training.batch_size must be a multiple of hardware.devices={hardware.devices},"
            f" got {training.batch_size}"
        )
    if hardware.precision == "fp16":
        raise InputError("hardware.precision must be fp32 or bf16 in training, got 'fp16'")


def _check_loss(loss: Loss, network: Any, groups: Sequence[Groups]) -> None:
    name = type(loss).__name__
    if loss.reads_answers and not getattr(network, "answer_count", 0):
        raise InputError(
            f"loss must be one over scores for a network with a single output, got"
            f" {name}, which needs the logits of two answers or more"
        )
    untaught = sum(one.teacher_scores is None for part in groups for one in part.groups)
    if loss.learns_from_teacher and untaught:
        raise InputError(
            f"loss must be one over labels for groups without teacher_scores, got {name}, which"
            f" learns from a teacher, and {untaught} groups without: let a teacher score them, or"
            " choose another loss, such as listwise"
        )


def _train(
    module: RankingModule,
    training: FineTuning,
    hardware: Hardware,
    folder: Path,
    seed: int,
) -> ModelCheckpoint:
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    pl.seed_everything(seed, verbose=False)
    keep_best = ModelCheckpoint(
        dirpath=folder,
        filename="{step}",
        monitor=training.measure,
        mode="max",
        save_top_k=1,
        save_weights_only=True,
    )
    bar = TQDMProgressBar(refresh_rate=1 if sys.stderr.isatty() else 0)
    trainer = pl.Trainer(
        accelerator=hardware.accelerator,
        devices=hardware.devices,
        strategy="ddp_spawn" if hardware.devices > 1 else "auto",
        precision="bf16-mixed" if hardware.effective_precision == "bf16" else "32-true",
        max_epochs=1,
        val_check_interval=training.steps // training.validations,
        num_sanity_val_steps=0,
        logger=False,
        callbacks=[keep_best, bar],
        enable_model_summary=False,
        use_distributed_sampler=False,
        default_root_dir=folder,
        deterministic=True,
    )
    module.train()  # Lightning leaves modes as it finds them
    try:
        trainer.fit(module)
    except SystemExit:  # Lightning turns an interruption into an exit
        raise KeyboardInterrupt from None
    return keep_best


def _step_of(path: str) -> int:
    return int(Path(path).stem.partition("=")[2])
