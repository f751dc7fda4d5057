"""How long a server is waited for, and what is said where it gives no answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from recross.errors import RunError
from recross.parts.bounds import Ge, Gt, Le, checked

LONGEST_WAIT_SECONDS = 60.0


class EndpointError(RunError):
    """A server gave no answer; the message names the server, the tries and its reason."""


@dataclass(frozen=True)
@checked
class Patience:
    """How long to wait for an answer, how often to ask again, and how long to wait in between.

    The wait doubles from ``backoff_seconds`` up to a minute; where the server names one, that is
    waited if it is longer.
    """

    timeout_seconds: Annotated[float, Gt(0), Le(86_400)] = 120.0
    max_retries: Annotated[int, Ge(0), Le(1000)] = 6
    backoff_seconds: Annotated[float, Ge(0)] = 1.0

    def wait_seconds(self, tries: int, asked_for: float) -> float:
        """How long to wait after this many failed tries."""
        doubled = self.backoff_seconds * 2.0 ** min(tries - 1, 30)
        return min(max(doubled, asked_for), LONGEST_WAIT_SECONDS)
