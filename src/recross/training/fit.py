"""Fine-tuning a re-ranker on groups, and keeping its best checkpoint."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import pytorch_lightning as pl

from recross.collections.collection import Collection
from recross.errors import RunError
from recross.inference.network import Network
from recross.inference.session import Session
from recross.inference.texts.collection_texts import CollectionTexts
from recross.machine.nodes import announcing
from recross.records import JsonObject
from recross.rerankers.reranker import Trainable
from recross.tracking.tracker import Log
from recross.training.callbacks.progress_bar import ProgressBar
from recross.training.callbacks.range_search import SearchRange, advise
from recross.training.callbacks.refresh import RefreshNegatives
from recross.training.callbacks.state import RestoreState, SaveState
from recross.training.callbacks.validate import Validate
from recross.training.data.groups import TrainingGroups
from recross.training.data.phases import Phase
from recross.training.module import RankingModule
from recross.training.processes import EndAtOnce, MeetingPoint, explaining_ends
from recross.training.progress import LAST_GOOD, Progress, TrainingFolder
from recross.training.recipe import FineTuning, TrainingPlan
from recross.training.requirements import check_groups, check_plan
from recross.training.steps.step_data import StepData
from recross.training.strategies import NoCheckpoints, find_strategy
from recross.training.validation import Validation


def fit(
    reranker: Trainable,
    phases: Sequence[Phase],
    plan: TrainingPlan,
    session: Session,
    validation: Validation,
    folder: Path,
    log: Log | None = None,
) -> JsonObject:
    """Train the re-ranker's network, save its best weights into ``folder``, and say what it took.

    ``session`` decides devices and precision only, and where tokens are kept: the groups of every
    step follow from the seed.
    A teacher scores the groups before the first step. Training resumes from the folder of an
    interrupted run of the same plan; one that was finished there is not repeated. Of several nodes,
    which see the same folder, the first one alone writes there; others return nothing.

    Raises:
        InputError: loss, network, groups and hardware do not go together.
        RunError: the loss is no number, or scores have collapsed; the best weights are kept.
    """
    training, network = plan.training, reranker.network
    hardware = training.hardware(session.hardware)
    check_plan(plan, network, hardware)
    check_groups(plan, phases)
    network.check_instructions(validation.collection.instructions.values())
    hardware.prepare()
    pl.seed_everything(plan.seed, verbose=False)
    network.prepare_training(training.preparation)
    unfinished = TrainingFolder(folder)
    if (took := unfinished.finished()) is not None:
        return took
    saved = unfinished.load()
    data = StepData(
        phases,
        training.steps,
        CollectionTexts(_collect_texts(phases, validation.collection), session.store),
        network,
        batch_size=training.batch_size,
        tokens=hardware.tokens_per_training_pass,
        seed=plan.seed,
    )
    if plan.teacher is not None:
        data.teach(plan.teacher)
    if saved is not None:
        data.start_after(saved[0].step)
    module = RankingModule(reranker, plan, Session(hardware, session.store), data, log)
    if saved is not None and saved[0].is_over:
        _log_curves(saved[0], log)
    else:
        _train_or_keep_last_good(module, validation, unfinished)
    if not hardware.is_first_node:
        return {}  # what was trained is written by the first
    last = unfinished.load()
    progress = Progress() if last is None else last[0]
    network.load_state_dict(unfinished.best() or {})
    network.finish_training()
    network.cpu().eval().save(folder)
    record = _record(training, progress, phases[-1].groups)
    unfinished.finish(record, progress.curves)
    return record


def _collect_texts(phases: Sequence[Phase], collection: Collection) -> Collection:
    """The collection, which then knows the texts of all phases."""
    for phase in phases:
        collection = phase.groups.put_texts_over(collection)
    return collection


def _list_callbacks(
    module: RankingModule, validation: Validation, folder: TrainingFolder
) -> list[pl.Callback]:
    """What happens between steps, in this order."""
    search = [SearchRange(module, folder)] if module.training_plan.training.is_search else []
    return [
        RestoreState(module, folder),
        ProgressBar(module),
        *search,
        Validate(module, validation, folder),
        RefreshNegatives(module),
        SaveState(module, folder),
        EndAtOnce(),
    ]


def _record(training: FineTuning, progress: Progress, groups: TrainingGroups) -> JsonObject:
    advice = advise(training, progress.values("loss")) if training.is_search else {}
    return {
        "steps": progress.step,
        "pairs": progress.pairs,
        "tokens": progress.tokens,
        "seconds": progress.seconds,
        "pairs_per_second": progress.pairs / progress.seconds,
        "tokens_per_second": progress.tokens / progress.seconds,
        "best_step": progress.best_step,
        f"best dev {training.measure}": progress.best,
        "groups": len(groups),
        "left_out": dict(groups.left_out),
        **advice,
    }


def _train_or_keep_last_good(
    module: RankingModule, validation: Validation, unfinished: TrainingFolder
) -> None:
    callbacks = _list_callbacks(module, validation, unfinished)
    hardware = module.session.hardware
    try:
        meeting = MeetingPoint(hardware.nodes)
        with announcing(meeting.main_address), explaining_ends():
            _train(module, callbacks, meeting)
    except RunError as error:
        if not hardware.is_first_node:
            raise
        raise RunError(f"{error}. {_keep_last_good(module.network, unfinished)}") from None


def _log_curves(progress: Progress, log: Log | None) -> None:
    if log is not None:
        for step, values in progress.curves:
            log.log(step, values)


def _keep_last_good(network: Network, unfinished: TrainingFolder) -> str:
    best = unfinished.best()
    if best is None:
        return "No weights were validated before"
    network.load_state_dict(best)
    network.finish_training()
    network.cpu().eval().save(unfinished.folder / LAST_GOOD)
    return f"The best weights before lie in {unfinished.folder / LAST_GOOD}"


def _train(module: RankingModule, callbacks: list[pl.Callback], meeting: MeetingPoint) -> None:
    hardware = module.session.hardware
    trainer = pl.Trainer(
        accelerator=hardware.accelerator,
        devices=hardware.devices,
        num_nodes=hardware.nodes,
        strategy=find_strategy(hardware),
        plugins=[meeting, NoCheckpoints()],  # whatever cluster the variables look like
        precision="bf16-mixed" if hardware.effective_precision == "bf16" else "32-true",
        max_epochs=1,
        limit_val_batches=0,  # a callback validates between steps, wherever a training begins
        num_sanity_val_steps=0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        callbacks=callbacks,
        enable_model_summary=False,
        use_distributed_sampler=False,
        deterministic=True,
    )
    module.train()  # Lightning leaves modes as it finds them
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Lightning's advice on workers and loggers
            trainer.fit(module)
    except SystemExit as stop:  # Lightning turns an interruption into an exit
        raise stop.__context__ or KeyboardInterrupt from None
    finally:
        module.teardown("fit")  # which Lightning leaves out after an error
