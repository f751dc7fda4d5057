"""What files of weights say that they hold, read before any weight is: whole, and numbers alone.

A file that is cut, or is something else than its name says, is refused here, by one error for every
kind of checkpoint. Nothing of a pickle is run.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from recross.checkpoints.json_files import read_json, refuse_pointer
from recross.errors import InputError

FILES_OF_WEIGHTS = ("model.safetensors", "pytorch_model.bin")
"""Files of all weights, the first of which that is there is read."""
_FLOATS = ("F64", "F32", "F16", "BF16", "float64", "float32", "float16", "bfloat16")
ALIGNMENT, MOST_ALIGNED = 64, 4 << 30
"""Bytes of a line of a processor's cache, and of a network whose weights are moved."""

_SHOWN = 5


class StoredWeight(NamedTuple):
    """A weight in a file: what type its numbers have, and its shape."""

    kind: str
    shape: tuple[int, ...]


StoredWeights = Mapping[str, StoredWeight]
"""The weights of a checkpoint's files by their names there."""


FindFile = Callable[[str], Path | None]
"""Finds a file of a checkpoint by its name, in its folder or on the hub."""


def read_stored_weights(find: FindFile) -> StoredWeights:
    """Read what the files of weights of a checkpoint say that they hold; nothing if it has none.

    Raises:
        InputError: a file is cut or is no file of weights, a part that an index names is missing,
            or a weight is of integers.
    """
    stored: dict[str, StoredWeight] = {}
    for path in _list_files(find):
        refuse_pointer(path)
        stored |= read_stored(path)
    return stored


def read_stored(path: Path) -> StoredWeights:
    """Read what one file says that it holds.

    Raises:
        InputError: it is cut or is no file of weights, or a weight is of integers.
    """
    is_safe = path.suffix == ".safetensors"
    stored = _read_header(path) if is_safe else _describe(load_pickled(path, "meta"))
    integers = [
        name
        for name, (kind, shape) in stored.items()
        if kind not in _FLOATS and name.endswith("weight") and len(shape) > 1
    ]
    if integers:
        raise InputError(
            f"weights of a checkpoint must be floating-point numbers, got {integers[0]} of"
            f" {stored[integers[0]].kind} in {path}"
        )
    return stored


def load_pickled(path: Path, device: str = "cpu") -> Mapping[str, Tensor]:
    """Load weights from a pickle of torch, which may hold tensors alone.

    Raises:
        InputError: it is none, or holds anything else; nothing that it names is run.
    """
    try:
        loaded = torch.load(path, map_location=device, weights_only=True)
    except pickle.UnpicklingError as error:
        wanted = re.search(r"GLOBAL (\S+)", str(error))
        reason = f"asks for {wanted[1]}, which is not run" if wanted else "cannot be read"
        raise InputError(
            f"pickled weights of a checkpoint must be tensors alone, got {path}, which {reason}"
        ) from None
    except (OSError, ValueError, RuntimeError, EOFError, LookupError, TypeError) as error:
        raise _not_whole(path, error) from None
    tensors = isinstance(loaded, dict) and all(isinstance(w, Tensor) for w in loaded.values())
    if not tensors:
        raise InputError(
            f"pickled weights of a checkpoint must be tensors by their names, got {path}, which"
            f" holds a {type(loaded).__name__} of other things"
        )
    return loaded  # type: ignore[no-any-return]


def check_finite(checkpoint: str, weights: Iterable[tuple[str, Tensor]]) -> None:
    """Refuse weights that are no numbers: what is computed by them would be none either.

    Raises:
        InputError: a weight holds NaN or infinity.
    """
    odd = [name for name, weight in weights if not _is_finite(weight)]
    if odd:
        more = f" and {len(odd) - _SHOWN} more" if len(odd) > _SHOWN else ""
        raise InputError(
            f"weights of checkpoint {checkpoint!r} must be finite, got nan or inf in"
            f" {', '.join(odd[:_SHOWN])}{more}"
        )


def align_weights(weights: Iterable[Tensor]) -> None:
    """Move weights that lie askew in memory, as those that are read straight from a file do.

    Some kernels add up in an order that depends on where a vector begins, so that equal weights of
    files with headers of other lengths gave scores with other last digits. Networks of more than
    ``MOST_ALIGNED`` bytes stay as they were mapped: their products are large ones, and memory is
    dear.
    """
    every = list(weights)
    if sum(weight.nbytes for weight in every) <= MOST_ALIGNED:
        for weight in every:
            if weight.data_ptr() % ALIGNMENT:
                weight.data = weight.data.clone()


def _is_finite(weight: Tensor) -> bool:
    """Whether all numbers are; their sum, which is quick, tells unless it overflows."""
    weight = weight.detach()
    if not weight.is_floating_point() or weight.is_meta:
        return True
    quick = bool(weight.sum(dtype=torch.float32).isfinite())
    return quick or bool(weight.isfinite().all())


def _list_files(find: FindFile) -> Iterator[Path]:
    """The files that are read: one, or those of an index."""
    for name in FILES_OF_WEIGHTS:
        if (path := find(name)) is not None:
            yield path
            return
        if (index := find(f"{name}.index.json")) is not None:
            yield from _list_parts(index, find)
            return


def _list_parts(index: Path, find: FindFile) -> list[Path]:
    named = read_json(index).get("weight_map")
    if not isinstance(named, dict) or not all(isinstance(part, str) for part in named.values()):
        raise InputError(f"{index} must hold a weight_map of names of weights to files")
    found = {name: find(name) if Path(name).name == name else None for name in named.values()}
    if not found:
        raise InputError(f"{index} must name at least one file of weights, got none")
    if missing := [Path(name).name for name, path in found.items() if path is None]:
        raise InputError(
            f"every file that {index} names must lie beside it,"
            f" got no {', '.join(missing[:_SHOWN])}"
        )
    return [path for path in found.values() if path is not None]


def _read_header(path: Path) -> StoredWeights:
    try:
        with safe_open(path, framework="pt") as file:
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
            return {
                name: StoredWeight(str(part.get_dtype()), tuple(part.get_shape()))
                for name, part in slices.items()
            }
    except (OSError, SafetensorError) as error:
        raise _not_whole(path, error) from None


def _describe(weights: Mapping[str, Tensor]) -> StoredWeights:
    return {
        name: StoredWeight(str(weight.dtype).removeprefix("torch."), tuple(weight.shape))
        for name, weight in weights.items()
    }


def _not_whole(path: Path, error: Exception) -> InputError:
    reason = (str(error) or type(error).__name__).splitlines()[0]
    return InputError(
        f"weights of a checkpoint must be whole files, got {path} of {path.stat().st_size} bytes,"
        f" which cannot be read ({reason})"
    )
