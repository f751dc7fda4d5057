"""What went wrong in another process, told to the one that started it in the words of a command."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping

from recross.errors import InputError, RunError

UNKNOWN = "Exception"


def say_refusal(work: Callable[[], object]) -> dict[str, str]:
    """Do work; what was refused or went wrong, by the kind of the error: nothing where all went."""
    try:
        work()
    except (InputError, RunError) as error:
        kind = RunError if isinstance(error, RunError) else InputError
        return {kind.__name__: str(error)}
    except Exception:  # noqa: BLE001  # the process that started this one says it
        return {UNKNOWN: traceback.format_exc()}
    return {}


def raise_refusal(said: Mapping[str, str]) -> None:
    """Raise what another process said went wrong, if anything.

    Raises:
        InputError: it was refused its input.
        RunError: its run was stopped.
        RuntimeError: it failed otherwise; the message is its traceback.
    """
    for kind, message in said.items():
        if kind == UNKNOWN:
            raise RuntimeError(f"a process that shares work: {message}")
        raise RunError(message) if kind == RunError.__name__ else InputError(message)
