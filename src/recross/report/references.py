"""Values that a study is held against: given, published, or our own of an earlier run."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Literal

from recross.errors import InputError
from recross.parts.bounds import checked
from recross.text_files.csv_lines import read_csv_lines
from recross.text_files.values import parse_decimal
from recross.writing.escaping import format_csv_line, read_guarded
from recross.writing.whole_files import write_lines_whole

ReferenceKind = Literal["given", "published", "measured"]
LATENCY = "latency_ms_per_100"
SIZE = "size_mb"


@dataclass(frozen=True)
@checked
class ReferenceValue:
    """One value of one row of a study, and where it comes from.

    ``kind``: ``given`` is shown and never checked, ``published`` is shown and checked, ``measured``
    is our own of an earlier run, checked and not shown. ``measure`` is a measure's name,
    ``latency_ms_per_100`` or ``size_mb``. ``candidates`` is the set that was re-ranked, as
    ``candidate_set`` names it: values over different candidates are not compared.
    """

    study: str
    label: str
    kind: ReferenceKind
    measure: str
    value: float
    tolerance: float | None = None
    candidates: str = ""
    source: str = ""

    def __post_init__(self) -> None:
        if self.is_checked and (self.tolerance is None or self.tolerance < 0):
            raise InputError(
                f"tolerance of a {self.kind} value must be at least 0, got {self.tolerance}"
            )
        if self.is_checked and not self.candidates:
            raise InputError(f"candidates of a {self.kind} value must be named, got none")

    @property
    def is_checked(self) -> bool:
        """Whether a measured value is held against it."""
        return self.kind != "given"


def are_same_candidates(one: str, other: str) -> bool:
    """Whether two names are of one set of candidates, but for case and blanks."""
    return one.lower().split() == other.lower().split()


_COLUMNS = tuple(declared.name for declared in fields(ReferenceValue))


def read_values(paths: Iterable[Path], studies: Collection[str] = ()) -> list[ReferenceValue]:
    """The reference values of these studies (of all, where none is named), in the files' order.

    Raises:
        InputError: a file is missing or lacks a column, or a line is wrong (its number is named).
    """
    chosen = []
    for path in paths:
        values = [
            _value(line, location) for location, line in read_csv_lines(path, _COLUMNS, "reference")
        ]
        chosen += [value for value in values if not studies or value.study in studies]
    return chosen


def write_measured(path: Path, values: Sequence[ReferenceValue]) -> None:
    """Replace our own values of the same studies in a file; its other lines stay."""
    studies = {value.study for value in values}
    before = read_values([path]) if path.is_file() else []
    kept = [value for value in before if value.kind != "measured" or value.study not in studies]
    lines = [_COLUMNS, *(astuple(value) for value in (*kept, *values))]
    write_lines_whole(path, map(format_csv_line, lines))


def _value(line: Mapping[str, str], location: str) -> ReferenceValue:
    line = {name: read_guarded(cell) for name, cell in line.items()}

    def number(name: str) -> float:
        return parse_decimal(line[name], name)

    try:
        return ReferenceValue(
            study=line["study"],
            label=line["label"],
            kind=line["kind"],  # type: ignore[arg-type]  # checked by the constructor
            measure=line["measure"],
            value=number("value"),
            tolerance=number("tolerance") if line["tolerance"] else None,
            candidates=line["candidates"],
            source=line["source"],
        )
    except InputError as error:
        raise InputError(f"{location}: {error}") from None


def find_reference_files() -> list[Path]:
    """Files of reference values shipped with the studies of ``experiments/``."""
    return sorted(_find_studies().glob("*/reference.csv"))


def find_reference_file(study: str) -> Path:
    """Where the reference values of a study stand, or would stand."""
    return _find_studies() / study / "reference.csv"


def _find_studies() -> Path:
    """``experiments/``: the checkout's, or the installed package's own."""
    package = Path(__file__).parents[1]
    checkout = package.parents[1] / "experiments"
    return checkout if checkout.is_dir() else package / "experiments"
