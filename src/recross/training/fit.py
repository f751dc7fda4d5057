"""Fine-tuning a re-ranker on groups, and keeping its best checkpoint."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import TQDMProgressBar

from recross.errors import InputError, RunError
from recross.inference.progress import is_watched
from recross.machine.hardware import Hardware
from recross.tracking.tracker import Log
from recross.training.data.groups import Groups
from recross.training.data.in_batch import EncodesApart
from recross.training.data.steps import StepData, planned
from recross.training.main_module import check_guarded
from recross.training.module import RankingModule
from recross.training.progress import LAST_GOOD, Progress, TrainingFolder
from recross.training.range_search import RangeSearchModule
from recross.training.recipe import FineTuning, RangeSearch, Recipe
from recross.training.validation import Trainable, Validation


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
    A folder that an interrupted training of the same recipe left is gone on from.

    Raises:
        InputError: loss, network, groups and hardware do not go together.
        RunError: the loss is no number, or scores have collapsed; the best weights are kept.
    """
    training, seed, network = recipe.training, recipe.seed, reranker.network
    hardware = training.hardware(hardware)
    check(recipe, network, hardware)
    _check_groups(recipe, phases)
    hardware.prepare()
    pl.seed_everything(seed, verbose=False)
    network.prepare_training(training.preparation)
    unfinished = TrainingFolder(folder)
    saved = unfinished.load()
    collection = validation.collection
    for part, _ in phases:
        collection = part.texts_over(collection)
    data = StepData(
        planned(phases, training.steps),
        collection,
        network,
        batch_size=training.batch_size,
        tokens=hardware.tokens_per_training_pass,
        seed=seed,
        start=saved[0].step if saved else 0,
    )
    if recipe.teach is not None:
        data.taught(recipe.teach)
    kind = RangeSearchModule if isinstance(training, RangeSearch) else RankingModule
    module = kind(reranker, recipe, hardware, data, validation, unfinished, log)
    try:
        _train(module, hardware)
    except RunError as error:
        raise RunError(f"{error}. {_keep_last_good(network, unfinished)}") from None
    progress, _ = unfinished.load() or (Progress(), {})
    network.load_state_dict(unfinished.best() or {})
    network.finish_training()
    network.cpu().eval().save(folder)
    unfinished.clear()
    last, _ = phases[-1]
    data_facts = {"groups": len(last.groups), "left_out": dict(last.left_out)}
    return {**_record(training, progress), **data_facts, **module.findings()}


def _record(training: FineTuning, progress: Progress) -> dict[str, Any]:
    return {
        "steps": progress.step,
        "pairs": progress.pairs,
        "tokens": progress.tokens,
        "seconds": progress.seconds,
        "pairs_per_second": progress.pairs / progress.seconds,
        "tokens_per_second": progress.tokens / progress.seconds,
        "best_step": progress.best_step,
        f"best dev {training.measure}": progress.best,
    }


def check(recipe: Recipe, network: Any, hardware: Hardware) -> None:
    """Refuse what cannot be trained whatever the groups, before any is made.

    Raises:
        InputError: loss, network and hardware do not go together, or a script trains on several
            devices outside of its guard.
    """
    training, loss = recipe.training, recipe.loss
    check_guarded(hardware.devices)
    if training.batch_size % hardware.devices:
        raise InputError(
            f"training.batch_size must be a multiple of hardware.devices={hardware.devices},"
            f" got {training.batch_size}"
        )
    if hardware.precision == "fp16":
        raise InputError("hardware.precision must be fp32 or bf16 in training, got 'fp16'")
    if loss.reads_answers and not getattr(network, "answer_count", 0):
        raise InputError(
            f"loss must be one over scores for a network with a single output, got"
            f" {type(loss).__name__}, which needs the logits of two answers or more"
        )
    in_batch = isinstance(network, EncodesApart) and network.in_batch_negatives
    if in_batch and training.first_stage_weight:
        raise InputError(
            "training.first_stage_weight must be 0 for in-batch negatives, which no first stage"
            f" scored, got {training.first_stage_weight}"
        )


def _keep_last_good(network: Any, unfinished: TrainingFolder) -> str:
    best = unfinished.best()
    if best is None:
        return "No weights were validated before"
    network.load_state_dict(best)
    network.finish_training()
    network.cpu().eval().save(unfinished.folder / LAST_GOOD)
    return f"The best weights before lie in {unfinished.folder / LAST_GOOD}"


def _check_groups(recipe: Recipe, phases: Sequence[tuple[Groups, float]]) -> None:
    learned = [part for part, share in phases if share and recipe.teach is None]
    untaught = sum(part.untaught for part in learned) if recipe.loss.learns_from_teacher else 0
    if untaught:
        raise InputError(
            "loss must be one over labels for groups without teacher_scores, got"
            f" {type(recipe.loss).__name__}, which learns from a teacher, and {untaught} groups"
            " without: let a teacher score them, or choose another loss, such as listwise"
        )
    weight = recipe.training.first_stage_weight
    unscored = (g for part, _ in phases for g in part.groups if g.first_stage_scores is None)
    if weight and next(unscored, None) is not None:
        raise InputError(
            "training.first_stage_weight must be 0 for negatives of several sources, whose scores"
            f" cannot be compared, got {weight}"
        )


def _train(module: RankingModule, hardware: Hardware) -> None:
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    trainer = pl.Trainer(
        accelerator=hardware.accelerator,
        devices=hardware.devices,
        strategy="ddp_spawn" if hardware.devices > 1 else "auto",
        precision="bf16-mixed" if hardware.effective_precision == "bf16" else "32-true",
        max_epochs=1,
        limit_val_batches=0,  # the module validates between steps, wherever a training begins
        num_sanity_val_steps=0,
        logger=False,
        enable_checkpointing=False,
        callbacks=[TQDMProgressBar(refresh_rate=1 if is_watched() else 0)],
        enable_model_summary=False,
        use_distributed_sampler=False,
        deterministic=True,
    )
    module.train()  # Lightning leaves modes as it finds them
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Lightning's advice on workers and loggers
            trainer.fit(module)
    except SystemExit:  # Lightning turns an interruption into an exit
        raise KeyboardInterrupt from None
