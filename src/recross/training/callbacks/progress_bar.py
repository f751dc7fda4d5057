"""The bar of a training, beside which the loss stands."""

from __future__ import annotations

import pytorch_lightning as pl

from recross.training.module import RankingModule
from recross.writing.progress import Bar, progress


class ProgressBar(pl.Callback):
    """Counts steps and shows the last loss that was read: to read it here would hold up a GPU."""

    def __init__(self, module: RankingModule) -> None:
        self._module = module
        self._bar: Bar | None = None  # which is of the process that trains

    def on_train_start(self, *_: object) -> None:
        """Begin to count, from the steps that an interrupted training has done."""
        module = self._module
        if module.processes.is_first:
            steps, done = module.training_plan.training.steps, module.progress.step
            self._bar = progress(steps, "training", "step", done, shown=True).__enter__()

    def on_train_batch_end(self, *_: object) -> None:
        """Count a step."""
        curves = self._module.progress.curves
        loss = next((values["loss"] for _, values in reversed(curves) if "loss" in values), None)
        if self._bar is not None:
            self._bar.done = self._module.progress.step
            self._bar.note = "" if loss is None else f"loss {loss:.4f}"

    def on_train_end(self, *_: object) -> None:
        """End."""
        self._end()

    def on_exception(self, *_: object) -> None:
        """End, where an error or an interruption ended the training."""
        self._end()

    def _end(self) -> None:
        if self._bar is not None:
            self._bar.__exit__()
            self._bar = None
