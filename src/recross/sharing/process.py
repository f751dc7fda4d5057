"""A process that makes pieces of shared work until none is left; it runs this file, nothing else.

It is told which work, and ends with the process that started it. The main module of that one is not
run again.
"""

from __future__ import annotations

import json
import os
import pickle
import sys
import threading
from functools import partial
from pathlib import Path

from recross.sharing.refusals import say_refusal
from recross.sharing.work import SharedTask, do_pieces, open_quietly


def _serve(told: Path, first: int) -> None:
    """Do what a file tells."""
    with told.open("rb") as file:
        task: SharedTask = pickle.load(file)
    do_pieces(open_quietly(task), first)


def _end_with_parent() -> None:
    """End once the process that started this one is no more."""
    sys.stdin.buffer.read()
    os._exit(1)


if __name__ == "__main__":
    answer = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever prints here prints beside the answer
    threading.Thread(target=_end_with_parent, daemon=True).start()
    json.dump(say_refusal(partial(_serve, Path(sys.argv[1]), int(sys.argv[2]))), answer)
    answer.close()
    os._exit(0)
