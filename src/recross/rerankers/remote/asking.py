"""Many requests to one server at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import islice
from typing import TypeVar

_Request = TypeVar("_Request")
_Answer = TypeVar("_Answer")


def ask_all(
    requests: Iterable[_Request],
    ask: Callable[[_Request, threading.Event], _Answer],
    max_concurrent: int,
) -> Iterator[_Answer]:
    """Yield what ``ask`` returns for each request, as answers come, never more at once than said.

    Requests are taken from their iterable when they are sent. At the first failure, which is
    raised, those under way are let finish and no more are sent; ``ask`` is handed an event that is
    set then, so that it need not wait before it tries again.
    """
    stop, failures, left = threading.Event(), list[BaseException](), iter(requests)

    def ask_one(request: _Request) -> _Answer:
        try:
            return ask(request, stop)
        except BaseException as failure:
            failures.append(failure)
            stop.set()
            raise

    with ThreadPoolExecutor(max_concurrent) as pool:
        under_way: set[Future[_Answer]] = set()
        try:
            while True:
                for request in islice(left, max_concurrent - len(under_way)):
                    under_way.add(pool.submit(ask_one, request))
                if not under_way:
                    return
                done, under_way = wait(under_way, return_when=FIRST_COMPLETED)
                if failures:
                    raise failures[0]
                for future in done:
                    yield future.result()
        finally:
            stop.set()
