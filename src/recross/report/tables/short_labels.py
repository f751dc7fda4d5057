"""Labels without what all of a table share."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import NamedTuple

from recross.report.tables.rows import INTERPOLATED

OVERRIDE = re.compile(r"\.(?=[^.=]+=)")
"""Where an override begins in a label that was made of them."""


class ShortLabels(NamedTuple):
    """Labels in the order they had, and the overrides that were left out of all of them."""

    names: list[str]
    shared: list[str]


def shorten_labels(labels: Sequence[str]) -> ShortLabels:
    """Leave out the overrides that all labels share, such as those of a sweep.

    Of paths the folders that all begin with and the ends that all have are left out. Labels that
    would no longer differ are kept.
    """
    bases = [label.partition(INTERPOLATED)[0] for label in labels]
    if len(set(bases)) < 2:
        return ShortLabels([*labels], [])
    are_paths = all("/" in base for base in bases)
    short, shared = (_shorten_paths(bases), []) if are_paths else _leave_out_overrides(bases)
    if len(set(short)) < len(set(bases)):
        return ShortLabels([*labels], [])
    names = [
        name + label[len(base) :] for name, base, label in zip(short, bases, labels, strict=True)
    ]
    return ShortLabels(names, shared)


def _leave_out_overrides(bases: Sequence[str]) -> tuple[list[str], list[str]]:
    words = [OVERRIDE.split(base) for base in bases]
    shared = [word for word in words[0][1:] if all(word in other[1:] for other in words)]
    short = [
        ".".join([first, *(word for word in rest if word not in shared)]) for first, *rest in words
    ]
    return short, shared


def _shorten_paths(paths: Sequence[str]) -> list[str]:
    """Without the folders at the start, and the name or its ending, that all have."""
    parts = [path.split("/") for path in paths]
    while len({line[0] for line in parts}) == 1 and min(map(len, parts)) > 1:
        parts = [line[1:] for line in parts]
    while len({line[-1] for line in parts}) == 1 and min(map(len, parts)) > 1:
        parts = [line[:-1] for line in parts]
    short = ["/".join(line) for line in parts]
    endings = {PurePosixPath(path).suffix for path in short}
    ending = endings.pop() if len(endings) == 1 else ""
    return [path.removesuffix(ending) for path in short]
