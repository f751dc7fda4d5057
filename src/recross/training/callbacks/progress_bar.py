"""The bar of a training, beside which the loss stands."""

from __future__ import annotations

import pytorch_lightning as pl
from pytorch_lightning.callbacks import TQDMProgressBar

from recross.training.module import RankingModule


class ProgressBar(TQDMProgressBar):
    """Shows the last loss that was read: to read it for the bar would hold up a GPU."""

    def __init__(self, module: RankingModule, refresh_rate: int) -> None:
        super().__init__(refresh_rate=refresh_rate)
        self._module = module

    def get_metrics(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule
    ) -> dict[str, int | str | float | dict[str, float]]:
        """What stands beside the bar."""
        curves = self._module.progress.curves
        loss = next((values["loss"] for _, values in reversed(curves) if "loss" in values), None)
        return {} if loss is None else {"loss": loss}
