"""How values travel between the processor and a device without either waiting for the other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy.typing as npt
import torch
from torch import Tensor

Array = npt.NDArray[Any]


def copy_to(values: Tensor, device: torch.device) -> Tensor:
    """A tensor on a device; the copy to a GPU runs beside what follows here."""
    if device.type == "cpu" or values.device.type != "cpu":
        return values.to(device)
    return values.pin_memory().to(device, non_blocking=True)


def name_device(device: torch.device) -> torch.device:
    """A device by its number: "cuda" is another one in every thread that works on its own."""
    if str(device) == "cuda":
        return torch.device("cuda", torch.cuda.current_device())
    return device


def bring_back(values: Tensor) -> Callable[[], Array]:
    """Begin to copy values off their device; what is returned waits for them and gives them."""
    if values.device.type == "cpu":
        here: Array = values.numpy()
        return lambda: here
    arriving = torch.empty(values.shape, dtype=values.dtype, pin_memory=True)
    arriving.copy_(values, non_blocking=True)
    arrived = torch.cuda.Event()  # type: ignore[no-untyped-call]
    arrived.record(torch.cuda.current_stream(values.device))

    def wait() -> Array:
        arrived.synchronize()
        there: Array = arriving.numpy()
        return there

    return wait
