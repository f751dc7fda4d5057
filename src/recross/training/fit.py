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
from recross.training.data import StepData, planned
from recross.training.groups import Groups
from recross.training.losses import Loss
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
    phases: Sequence[tuple[Groups, float]],
    recipe: Recipe,
    hardware: Hardware,
    validation: Validation,
    folder: Path,
    log: Log | None = None,
) -> Mapping[str, Any]:
    """Train the re-ranker's network, save its best weights into ``folder``, and say what it took.

    ``phases`` are groups, each with the share of the steps that learns from them, in their order.
    ``hardware`` decides devices and precision only: the groups of every step follow from the seed.
    """
    training, seed, network = recipe.training, recipe.seed, reranker.network
    if training.batch_size % hardware.devices:
        raise InputError(
            f"training.batch_size must be a multiple of hardware.devices={hardware.devices},"
            f" got {training.batch_size}"
        )
    if getattr(recipe.loss, "reads_answers", False) and not getattr(network, "answer_count", 0):
        raise InputError(
            f"loss must be one over scores for a network with a single output, got"
            f" {type(recipe.loss).__name__}, which needs the logits of two answers or more"
        )
    if training.hardware(hardware).precision == "fp16":
        raise InputError("hardware.precision must be fp32 or bf16 in training, got 'fp16'")
    _check_first_stage(training.first_stage_weight, phases)
    hardware = training.hardware(hardware)
    hardware.prepare()
    network.prepare_training(training.frozen_share, training.dropout)
    data = StepData(
        planned(phases, training.steps),
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
    last, _ = phases[-1]
    pairs = training.steps * training.batch_size * (1 + training.negatives_per_positive)
    return {
        "steps": training.steps,
        "pairs": pairs,
        "seconds": seconds,
        "pairs_per_second": pairs / seconds,
        "groups": len(last.groups),
        "left_out": dict(last.left_out),
        "best_step": _step_of(best.best_model_path),
        f"best dev {training.measure}": float(best.best_model_score or 0.0),
    }


def _check_first_stage(weight: float, phases: Sequence[tuple[Groups, float]]) -> None:
    scored = all(
        group.first_stage_scores is not None for part, _ in phases for group in part.groups
    )
    if weight and not scored:
        raise InputError(
            "training.first_stage_weight must be 0 for negatives of several sources, whose scores"
            f" cannot be compared, got {weight}"
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
