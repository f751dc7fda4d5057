"""The errors whose message is all that a user needs: wrong input, and what stopped a run."""

from __future__ import annotations

from collections.abc import Sequence


class InputError(ValueError):
    """Wrong input; the message names the argument, the rule and the value it got."""


class ConfigError(InputError):
    """A config that cannot be built; its message lists every problem, one a line."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = list(problems)


class RunError(RuntimeError):
    """What stopped a run whose input was right: a server, a budget. Its message says all."""
