"""Which learning rate to try first: one short training at ever larger ones (Smith 2017)."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytorch_lightning as pl

from recross.records import JsonObject
from recross.training.module import RankingModule
from recross.training.progress import TrainingFolder
from recross.training.recipe import FineTuning

logger = logging.getLogger(__name__)

SMOOTHING = 0.9
"""How much of the mean of the losses before stays at each step."""

DIVERGED = 4.0
"""A search is over where the smoothed loss is so many times its lowest."""


class SearchRange(pl.Callback):
    """Ends a search once the loss has risen too far, and keeps the weights it began with."""

    def __init__(self, module: RankingModule, folder: TrainingFolder) -> None:
        self._module, self._folder = module, folder

    def on_train_start(self, *_: object) -> None:
        """Keep the weights before the first step changes them."""
        if self._module.processes.is_first and self._module.progress.step == 0:
            self._folder.keep_best(self._module.network.state_dict())

    def on_train_batch_end(self, trainer: pl.Trainer, *_: object) -> None:
        """Stop where the loss is no number, or many times its lowest."""
        losses = self._module.progress.values("loss")
        means = smooth(losses)
        if not np.isfinite(losses[-1]) or means[-1] > DIVERGED * means.min():
            trainer.should_stop = True


def advise(training: FineTuning, losses: Sequence[float]) -> JsonObject:
    """Return the rate at which the loss falls most steeply, and which rates were tried."""
    finite = next((n for n, loss in enumerate(losses) if not np.isfinite(loss)), len(losses))
    losses = losses[:finite]
    rate_at = training.optimisation.rate
    rates = [training.learning_rate * rate_at(step) for step in range(max(len(losses), 1))]
    rate = find_steepest(losses, rates)
    if rate is not None:
        logger.info(
            "loss falls most steeply at training.learning_rate=%.2g (tried %.2g to %.2g)",
            *(rate, rates[0], rates[-1]),
        )
    return {"suggested_learning_rate": rate, "tried": [rates[0], rates[-1], training.steps]}


def smooth(losses: Sequence[float]) -> npt.NDArray[np.float64]:
    """Running means that forget, without the pull of where they began (Adam's correction)."""
    means, mean = [], 0.0
    for number, loss in enumerate(losses, start=1):
        mean = SMOOTHING * mean + (1 - SMOOTHING) * loss
        means.append(mean / (1 - SMOOTHING**number))
    return np.array(means)


def find_steepest(losses: Sequence[float], rates: Sequence[float]) -> float | None:
    """The rate at which the smoothed loss falls most by the rate's logarithm.

    Losses of a first tenth are noise and left out. ``None`` where there are fewer than three more.
    """
    first = len(losses) // 10
    if len(losses) - first < 3:
        return None
    slopes = np.gradient(smooth(losses), np.log(rates))
    return float(rates[first + int(np.argmin(slopes[first:]))])
