"""How Lightning shares a training among processes, each of which is spawned."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from lightning_fabric.plugins import CheckpointIO
from pytorch_lightning.accelerators import Accelerator
from pytorch_lightning.strategies import DDPStrategy, Strategy

from recross.machine.hardware import Hardware
from recross.training.shared_weights import WholeCopy, share_weights

if TYPE_CHECKING:
    from recross.training.module import RankingModule


def find_strategy(hardware: Hardware) -> Strategy | Literal["auto"]:
    """One process alone trains in this one; several have all weights each, or parts of them."""
    if hardware.processes == 1:
        return "auto"
    kind = SharedWeightsStrategy if hardware.shards == "weights" else DDPStrategy
    return kind(start_method="spawn")


class SharedWeightsStrategy(DDPStrategy):
    """Processes that keep a part of every weight each, where DDP would keep all of them."""

    def model_to_device(self) -> None:
        """Leave the network where it is: each layer goes to the device when it is cut."""

    def configure_ddp(self) -> None:
        """Cut the weights of the network that is trained, of which a copy is left to score."""
        module = cast("RankingModule", self.model)
        module.whole_copy = WholeCopy(module.network)
        share_weights(module.network, self.root_device)

    def teardown(self) -> None:
        """End with the process: what was learned has been saved."""
        self.precision_plugin.teardown()
        cast(Accelerator, self.accelerator).teardown()


class NoCheckpoints(CheckpointIO):
    """Lets no weights come back from the processes: what they have learned lies in the folder."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None
    ) -> None:
        """Write nothing."""

    def load_checkpoint(
        self, path: str | Path, map_location: Any = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """No weights."""
        return {}

    def remove_checkpoint(self, path: str | Path) -> None:
        """Remove the folder that Lightning made for it."""
        Path(path).parent.rmdir()
