"""The devices of a hardware target: what each of them computes with, and jobs shared by them."""

from __future__ import annotations

import copy
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue
from typing import TypeVar

import torch

from recross.errors import InputError
from recross.machine.hardware import Hardware
from recross.machine.processor import count_usable_cores

_Network = TypeVar("_Network")
Work = TypeVar("Work")
Job = TypeVar("Job")
_Result = TypeVar("_Result")

AHEAD = 2
"""Jobs per device that wait or run: enough to keep it busy, few to be lost."""


def make_for_each_device(
    hardware: Hardware, network: _Network, make: Callable[[_Network], Work]
) -> list[Work]:
    """Return what ``make`` returns of the network, for each device.

    On GPUs every device has a copy of the network. On a processor a device is a thread with its
    share of the cores, and the weights are there once.

    Raises:
        InputError: there are fewer GPUs than devices.
    """
    if hardware.devices == 1:
        return [make(network)]
    if hardware.accelerator == "cpu":
        return [make(network)] * hardware.devices
    if hardware.devices > torch.cuda.device_count():
        raise InputError(
            f"devices must be at most the number of GPUs here ({torch.cuda.device_count()}),"
            f" got {hardware.devices}"
        )
    works = []
    for number in range(hardware.devices):
        with torch.cuda.device(number):
            works.append(make(copy.deepcopy(network) if number else network))
    return works


def share_jobs(
    hardware: Hardware,
    works: Sequence[Work],
    do: Callable[[Job, Work], _Result],
    jobs: Iterable[Job],
) -> Iterator[_Result]:
    """Yield ``do(job, work)`` of every job in the order of the jobs.

    Each device has a thread and its own of the ``works``, and takes the next job when it is free.
    Few jobs are drawn ahead of the results.
    """
    device = threading.local()
    free: SimpleQueue[int] = SimpleQueue()
    for number in range(len(works)):
        free.put(number)

    def enter() -> None:
        number = free.get()
        device.work = works[number]
        _bind_thread(hardware, number)

    def run(job: Job) -> _Result:
        return do(job, device.work)

    pool = ThreadPoolExecutor(len(works), initializer=enter)
    waiting: deque[Future[_Result]] = deque()
    try:
        for job in jobs:
            waiting.append(pool.submit(run, job))
            if len(waiting) == AHEAD * len(works):
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _bind_thread(hardware: Hardware, number: int) -> None:
    """Let the current thread compute on a device."""
    if hardware.accelerator == "gpu":
        torch.cuda.set_device(number)
    else:
        share = max(1, count_usable_cores() // hardware.devices)
        torch.set_num_threads(hardware.threads or share)
