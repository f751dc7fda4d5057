"""Counts, on a processor, what would make it wait for a GPU: values and sizes that it reads."""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

READS = {"tolist", "numpy", "cpu", "__array__"}
"""Methods that fetch values without an operation of their own: on a processor they are there."""

UPLOADS = {"tensor", "as_tensor"}
"""Functions that, given a device, copy from memory which is not pinned, and wait for the copy."""

OPERATIONS = {"_local_scalar_dense", "item", "is_nonzero", "equal", "allclose"}
OPERATIONS |= {"nonzero", "nonzero_numpy", "argwhere", "masked_select", "isin"}
OPERATIONS |= {"_unique", "_unique2", "unique_dim", "unique_consecutive"}
"""Operations whose result, or its size, is known to the processor only when a GPU is done.

Without a gradient some are seen as the larger operations that they are part of.
"""

INDEXING = {"index", "index_put", "index_put_", "_index_put_impl_", "_unsafe_index"}
"""Operations that look for the true places of masks among their indices."""

COUNTING = {
    torch.ops.aten.repeat_interleave.Tensor,
    torch.ops.aten.repeat_interleave.self_Tensor,
}
"""Operations that do so unless they are told the size."""


class Synchronisations:
    """Counts inside the block, by name and by where they were asked for; others' code has its own.

    ``within`` are those that this project's code asks for itself, ``elsewhere`` those of the
    libraries' code that it calls.
    """

    def __init__(self) -> None:
        self.within: Counter[str] = Counter()
        self.elsewhere: Counter[str] = Counter()
        self._modes = (_Functions(self), _Operations(self))

    def __enter__(self) -> Synchronisations:
        for mode in self._modes:
            mode.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for mode in reversed(self._modes):
            mode.__exit__(kind, error, trace)

    def count(self, name: str) -> None:
        """Take in one more."""
        frames = [
            frame
            for frame in traceback.extract_stack()
            if "/torch/" not in frame.filename and frame.filename != __file__
        ]
        asked = frames[-1]
        found = self.elsewhere if "/site-packages/" in asked.filename else self.within
        found[f"{name} in {asked.filename.rpartition('/')[2]}:{asked.name}"] += 1


class _Functions(TorchFunctionMode):
    def __init__(self, counted: Synchronisations) -> None:
        super().__init__()
        self._counted = counted

    def __torch_function__(
        self,
        func: Any,
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        given = kwargs or {}
        name = getattr(func, "__name__", "")
        uploads = name in UPLOADS and given.get("device") is not None
        if uploads or (name in READS and isinstance(args[0], Tensor)):
            self._counted.count(name)
        return func(*args, **given)


class _Operations(TorchDispatchMode):
    def __init__(self, counted: Synchronisations) -> None:
        super().__init__()
        self._counted = counted

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        given = kwargs or {}
        name = func.overloadpacket.__name__
        counts_out = func in COUNTING and given.get("output_size") is None
        if name in OPERATIONS or _looks_for_places(name, args) or counts_out:
            self._counted.count(name)
        return func(*args, **given)


def _looks_for_places(name: str, args: Sequence[Any]) -> bool:
    if name not in INDEXING:
        return False
    indices = [index for index in args[1] if isinstance(index, Tensor)]
    return any(index.dtype in (torch.bool, torch.uint8) for index in indices)
