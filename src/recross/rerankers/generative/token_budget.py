"""Tokens that may be spent at a server, and a guess at how many a request will take."""

from __future__ import annotations

import threading

from recross.rerankers.remote.patience import EndpointError

BYTES_PER_TOKEN = 3
"""A guess on the safe side for English, which has about 4.5."""


class BudgetError(EndpointError):
    """The tokens that may be spent are spent; the message names the budget and the use."""


class TokenBudget:
    """Tokens that may be spent, counted by all threads; those of open requests are set aside."""

    def __init__(self, budget: int | None) -> None:
        self._budget = budget
        self._used = 0
        self._set_aside = 0
        self._changed = threading.Condition()

    def set_aside(self, tokens: int) -> None:
        """Set tokens aside for a request, once those under way leave room for it.

        Raises:
            BudgetError: they leave none.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._set_aside == 0 or self._leaves(tokens))
            if not self._leaves(tokens):
                raise BudgetError(
                    f"token_budget is {self._budget:,}, {self._used:,} are used and the next"
                    f" request may take {tokens:,}; with reuse_answers finished answers are kept,"
                    " and the same command goes on from them"
                )
            self._set_aside += tokens

    def settle(self, set_aside: int, used: int) -> None:
        """Put what a request used in the place of what was set aside for it."""
        with self._changed:
            self._set_aside -= set_aside
            self._used += used
            self._changed.notify_all()

    def _leaves(self, tokens: int) -> bool:
        return self._budget is None or self._used + self._set_aside + tokens <= self._budget


def guess_tokens(text: str) -> int:
    """About how many tokens a text is, rather too many than too few."""
    return len(text.encode(errors="replace")) // BYTES_PER_TOKEN + 1
