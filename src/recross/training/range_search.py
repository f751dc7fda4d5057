"""Which learning rate to try first: one short training at ever larger ones (Smith 2017)."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from recross.training.module import RankingModule

logger = logging.getLogger(__name__)

SMOOTHING = 0.9
"""How much of the mean of the losses before stays at each step."""

DIVERGED = 4.0
"""A search is over where the smoothed loss is so many times its lowest."""


class RangeSearchModule(RankingModule):
    """Takes steps at rising rates, and leaves the weights as they were."""

    def on_train_start(self) -> None:
        """Keep the weights before the first step changes them."""
        super().on_train_start()
        if self.trainer.is_global_zero and self.progress.step == 0:
            self.folder.keep_best(self.network.state_dict())

    def on_train_batch_end(self, *_: Any) -> None:
        """End where the loss has left the range worth looking at; nothing is validated."""
        self._refresh()
        losses = smoothed(self._losses)
        if losses[-1] > DIVERGED * losses.min():
            self.trainer.should_stop = True

    def findings(self) -> Mapping[str, Any]:
        """The rate at which the loss falls most steeply."""
        training = self.recipe.training
        rate = steepest(self._losses, [self._rate(n) for n in range(len(self._losses))])
        lowest, highest = self._rate(0), self._rate(max(len(self._losses) - 1, 0))
        logger.info(
            "loss falls most steeply at training.learning_rate=%.2g (tried %.2g to %.2g)",
            *(rate, lowest, highest),
        )
        return {"suggested_learning_rate": rate, "tried": [lowest, highest, training.steps]}

    @property
    def _losses(self) -> list[float]:
        found = [values["loss"] for _, values in self.progress.curves if "loss" in values]
        return found[: next((n for n, x in enumerate(found) if not np.isfinite(x)), len(found))]

    def _rate(self, step: int) -> float:
        training = self.recipe.training
        return training.learning_rate * training.optimisation.rate(step)

    def _refuse_nan(self, loss: Tensor) -> None:
        if not torch.isfinite(loss):
            self.trainer.should_stop = True


def smoothed(losses: Sequence[float]) -> npt.NDArray[np.float64]:
    """Running means that forget, without the pull of where they began (Adam's correction)."""
    means, mean = [], 0.0
    for number, loss in enumerate(losses, start=1):
        mean = SMOOTHING * mean + (1 - SMOOTHING) * loss
        means.append(mean / (1 - SMOOTHING**number))
    return np.array(means)


def steepest(losses: Sequence[float], rates: Sequence[float]) -> float | None:
    """The rate at which the smoothed loss falls most by the rate's logarithm.

    Losses of a first tenth are noise and left out. ``None`` where there are fewer than three more.
    """
    first = len(losses) // 10
    if len(losses) - first < 3:
        return None
    slopes = np.gradient(smoothed(losses), np.log(rates))
    return float(rates[first + int(np.argmin(slopes[first:]))])
