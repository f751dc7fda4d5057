"""Steps made beside the training, so that a GPU does not wait for tokens."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Generator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager

import torch

from recross.training.steps.step import Step
from recross.training.steps.step_data import StepData

STEPS_AHEAD = 2
"""Steps made before they are asked for: enough that none is waited for, few to hold in memory."""


class StepsAhead:
    """The steps of a training in their order, made in a thread and copied to the device.

    The first ones are made when the first is asked for: what decides them is known by then. A step
    whose negatives wait to be chosen, and those after it, are made when it is asked for. What keeps
    a step from being made is raised where it is taken.
    """

    def __init__(self, data: StepData, device: torch.device) -> None:
        self._data, self._device = data, device
        self._free = threading.Lock()
        self._taken: Generator[Step] | None = None

    def __len__(self) -> int:
        return len(self._data)

    def __iter__(self) -> Generator[Step]:
        """Begin with the first step."""
        self.close()
        self._taken = self._take_each()
        return self._taken

    def paused(self) -> AbstractContextManager[object]:
        """Make no step inside the block: a tokenizer serves one thread at a time."""
        return self._free

    def close(self) -> None:
        """Make no more steps; those that nobody took are lost."""
        if self._taken is not None:
            self._taken.close()

    def _take_each(self) -> Generator[Step]:
        beside = ThreadPoolExecutor(1, "steps", _bind_thread, (self._device,))
        waiting: deque[Future[Step]] = deque()
        try:
            for number in range(len(self._data)):
                for ahead in range(number + len(waiting), self._last_known(number) + 1):
                    waiting.append(beside.submit(self._make, ahead))
                yield waiting.popleft().result()
        finally:
            beside.shutdown(cancel_futures=True)

    def _last_known(self, number: int) -> int:
        """Of a step that is asked for and the next ones, the last before negatives are awaited."""
        last = number
        while last < min(number + STEPS_AHEAD, len(self) - 1) and not self._data.awaits_refresh(
            self._data.start + last + 1
        ):
            last += 1
        return last

    def _make(self, number: int) -> Step:
        with self._free:
            return self._data[number].to(self._device)


def _bind_thread(device: torch.device) -> None:
    """Let the current thread use this process's GPU and no other, where there are several."""
    if device.type == "cuda":
        torch.cuda.set_device(device)
