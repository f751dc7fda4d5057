"""What a launcher asks of a machine for each cell: the cores and GPUs that ``hardware`` names."""

from __future__ import annotations

from collections.abc import Mapping


def count_cores(hardware: Mapping[str, object]) -> int | None:
    """Cores of one cell: ``threads`` of every process; ``None`` where they are not limited."""
    threads, devices = hardware["threads"], hardware["devices"]
    assert isinstance(devices, int)
    return threads * devices if isinstance(threads, int) else None


def count_gpus(hardware: Mapping[str, object]) -> int | None:
    """GPUs of one cell; ``None`` where it uses none."""
    devices = hardware["devices"]
    assert isinstance(devices, int)
    return devices if hardware["accelerator"] == "gpu" else None


def count_processes(hardware: Mapping[str, object]) -> int:
    """Cells that this machine has cores for: one where threads are not limited, or on GPUs."""
    from recross.machine.processor import count_usable_cores

    cores = count_cores(hardware)
    if cores is None or count_gpus(hardware) is not None:
        return 1
    return max(1, count_usable_cores() // cores)
