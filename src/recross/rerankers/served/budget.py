"""What may be sent to a server, counted over all runs of one re-ranker."""

from __future__ import annotations

import threading

from recross.errors import InputError


class RunBudget:
    """Requests and pairs that may be sent; ``None``: any number."""

    def __init__(self, requests: int | None, pairs: int | None) -> None:
        self._budgets = {"request_budget": requests, "pair_budget": pairs}
        self._spent = {"request_budget": 0, "pair_budget": 0}
        self._counting = threading.Lock()

    def spend(self, requests: int, pairs: int) -> None:
        """Count what is about to be sent.

        Raises:
            InputError: a budget does not cover it; nothing is counted.
        """
        wanted = {"request_budget": requests, "pair_budget": pairs}
        with self._counting:
            for name, budget in self._budgets.items():
                needed = self._spent[name] + wanted[name]
                if budget is not None and wanted[name] and needed > budget:
                    before = f", {self._spent[name]:,} of them sent before" * bool(
                        self._spent[name]
                    )
                    raise InputError(
                        f"{name} must be at least {needed:,}, which this run needs beside what is"
                        f" kept{before}, got {budget:,}"
                    )
            self._spent = {name: self._spent[name] + wanted[name] for name in wanted}
