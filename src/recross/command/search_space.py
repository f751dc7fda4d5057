"""What a search may vary, as overrides say it: choices, ranges and intervals."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep

from recross.command.overrides import parse_overrides
from recross.errors import ConfigError
from recross.records import Json

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

_DIGITS = 4
"""Significant ones of a number that is tried, so that folders have short names."""


@dataclass(frozen=True)
class SearchSpace:
    """Overrides that vary by their keys, and those that all trials share."""

    varied: Mapping[str, Override]
    fixed: Sequence[str]

    @classmethod
    def read(cls, words: Sequence[str]) -> SearchSpace:
        """Read overrides; of a key that is given twice the last one counts.

        Raises:
            ConfigError: an override cannot be parsed, or nothing varies.
        """
        given = {override.get_key_element(): override for override in parse_overrides(words)}
        varied = {key: value for key, value in given.items() if value.is_sweep_override()}
        if not varied:
            raise ConfigError(
                [
                    "hydra/sweeper=optuna needs something to vary, such as"
                    " training.learning_rate=tag(log,interval(1e-5,1e-3)), got none"
                ]
            )
        fixed = [
            f"{key}={override.get_value_element_as_str()}"
            for key, override in given.items()
            if key not in varied
        ]
        return cls(varied, fixed)

    def list_edges(self) -> Iterator[list[str]]:
        """Overrides of trials that have each choice, and both ends of each interval, once."""
        ends = {key: list(_list_ends(override)) for key, override in self.varied.items()}
        columns = [[f"{key}={value}" for value in values] for key, values in ends.items()]
        for row in range(max(map(len, columns))):
            yield [*self.fixed, *(column[min(row, len(column) - 1)] for column in columns)]

    def list_distributions(self) -> dict[str, BaseDistribution]:
        """What Optuna draws from."""
        return {key: _make_distribution(override) for key, override in self.varied.items()}

    def write_trial(self, values: Mapping[str, Json]) -> list[str]:
        """The overrides of a trial with these values."""
        return [*self.fixed, *(f"{key}={round_value(value)}" for key, value in values.items())]


def round_value(value: Json) -> Json:
    """A value as it is tried: numbers with few digits, choices as they were given."""
    return float(f"{value:.{_DIGITS}g}") if isinstance(value, float) else value


def _list_ends(override: Override) -> Iterator[str]:
    held: object = override.value()
    match held:
        case IntervalSweep(start=start, end=end):
            yield from (str(start), str(end))
        case _:
            yield from itertools.islice(override.sweep_string_iterator(), 1000)


def _make_distribution(override: Override) -> BaseDistribution:
    from optuna.distributions import (
        CategoricalDistribution,
        FloatDistribution,
        IntDistribution,
    )

    held: object = override.value()
    match held:
        case IntervalSweep(start=start, end=end, tags=tags):
            is_whole = {type(start), type(end)} == {int}
            assert start is not None and end is not None, "Hydra's grammar has none without"
            if is_whole:
                return IntDistribution(int(start), int(end), log="log" in tags)
            return FloatDistribution(start, end, log="log" in tags)
        case RangeSweep(start=int(start), stop=int(stop), step=int(step), shuffle=False) if (
            step > 0
        ):
            last = range(start, stop, step)[-1]
            return IntDistribution(start, last, step=step)
        case _:
            return CategoricalDistribution(list(override.sweep_string_iterator()))
