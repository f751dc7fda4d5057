"""What stops a command: one line in our words, and the exit code that says of what kind it is."""

from __future__ import annotations

import errno
import logging
import os
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from recross.command.interruption import Interrupted
from recross.command.output import ClosedOutputError
from recross.errors import InputError, RunError
from recross.parts.secrets import mask_secrets

logger = logging.getLogger("recross")

DEBUG = "RECROSS_DEBUG"
"""Set in the environment, it shows where an error came from."""
FAULT = 70
"""Exit code of a fault of recross itself, as ``sysexits.h`` numbers it."""
_GO_ON = "run the same command again to go on"
_LACKS = {
    errno.ENOSPC: f"free space there; {_GO_ON}",
    errno.EDQUOT: f"free space within your quota; {_GO_ON}",
    errno.EFBIG: f"raise the limit of the file size (ulimit -f); {_GO_ON}",
    errno.EMFILE: f"raise the limit of open files (ulimit -n); {_GO_ON}",
    errno.ENFILE: f"the machine has too many files open; {_GO_ON}",
    errno.ENOMEM: f"give it more memory or smaller batches; {_GO_ON}",
    errno.EROFS: "write elsewhere, with output=FOLDER",
    errno.EIO: f"the disk may be damaged; {_GO_ON}",
}
"""What a machine can lack, whatever library notices it, and what helps."""
_HELPS = {
    **_LACKS,
    errno.EACCES: "change its permissions, or write elsewhere, with output=FOLDER",
    errno.EPERM: "change its permissions, or write elsewhere, with output=FOLDER",
    errno.ENAMETOOLONG: "give shorter names (study, name, run_file)",
}
_MEMORY = ("OutOfMemoryError", "DefaultCPUAllocator", "out of memory")
_ENDED = ("TerminatedWorkerError", "terminated abruptly")


class FaultError(RuntimeError):
    """A fault of recross itself; its message says where the traceback lies."""


def check_surroundings(words: Sequence[str]) -> None:
    """Refuse words and places that no command can work with.

    Raises:
        InputError: an argument is no text.
        RunError: the working directory was deleted.
    """
    for word in words:
        try:
            word.encode("utf-8")
        except UnicodeEncodeError:
            raise InputError(f"arguments must be text in UTF-8, got {word!r}") from None
    try:
        Path.cwd()
    except FileNotFoundError:
        raise RunError("the working directory must exist, and was deleted") from None


@contextmanager
def set_variable(name: str, value: str | None) -> Iterator[None]:
    """Within, the environment, also that of processes that are started, has another value."""
    before = os.environ.get(name)
    _set(name, value)
    try:
        yield
    finally:
        _set(name, before)


def _set(name: str, value: str | None) -> None:
    if value is None:
        os.environ.pop(name, None)
    else:
        os.environ[name] = value


def guard(work: Callable[[], int]) -> int:
    """Do the work of a command, and return its exit code; what stops it is said in one line."""
    try:
        return work()
    except ClosedOutputError as closed:
        if closed.reason:
            logger.error("recross: %s", closed.reason)
        return closed.exit_code
    except Interrupted as signal:
        logger.error("recross: %s", signal)
        return signal.exit_code
    except KeyboardInterrupt:
        logger.error("recross: interrupted; %s", _GO_ON)
        return 130
    except Exception as error:  # noqa: BLE001  # every one is said in one line
        show_traceback(error)
        known = explain(error) or describe_fault(error)
        logger.error("recross: %s", known)
        return _choose_exit_code(known)


def _choose_exit_code(known: Exception) -> int:
    match known:
        case InputError():
            return 2
        case RunError():
            return 1
    return FAULT


def explain(error: BaseException) -> InputError | RunError | None:
    """The error in our words, if the input or the machine is to blame; ``None``: recross is."""
    match error:
        case InputError() | RunError():
            return error
        case OSError():
            return RunError(_describe_system(error))
    lacks = (lack for cause in _list_causes(error) if (lack := _find_lack(cause)))
    return next((RunError(lack) for lack in lacks), None)


def _describe_memory(text: str) -> str:
    return f"memory ran out ({_shorten(text)}); {_LACKS[errno.ENOMEM]}"


def _find_lack(cause: BaseException) -> str | None:
    """What the machine lacks, as any library says it."""
    text = f"{type(cause).__name__}: {cause}"
    match cause:
        case OSError() if cause.errno in _LACKS:
            return _describe_system(cause)
        case MemoryError():
            return _describe_memory(text)
    if any(sign in text for sign in _MEMORY):
        return _describe_memory(text)
    if any(sign in text for sign in _ENDED):
        reason = "a process was ended from outside, as it is where memory runs out"
        return f"{reason} ({_shorten(text, 200)}); {_GO_ON}"
    for code, way_out in _LACKS.items():
        if os.strerror(code) in text or f"os error {code})" in text:
            return f"{_shorten(text)}; {way_out}"
    return None


def describe_fault(error: BaseException) -> FaultError:
    """What is said of an error that nobody foresaw, whose traceback is kept in a file."""
    text = f"{type(error).__name__}: {_shorten(str(error))}"
    try:
        kept = f"its traceback is in {_keep_traceback(error)}"
    except OSError:
        kept = f"{DEBUG}=1 shows its traceback"
    return FaultError(f"a fault of recross itself, {text}; {kept}: please report it with that")


def _describe_system(error: OSError) -> str:
    if error.errno is None:  # a library's, which says in words what it lacks
        return _shorten(str(error))
    reason = (error.strerror or os.strerror(error.errno)).lower()
    place = "" if error.filename is None else f"{os.fsdecode(error.filename)}: "
    way_out = _HELPS.get(error.errno)
    return f"{place}{reason}" + (f"; {way_out}" if way_out else "")


def _list_causes(error: BaseException) -> Iterator[BaseException]:
    """The error, and what led to it."""
    seen: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in seen:
        seen.append(cause)
        yield cause
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)


def _shorten(text: str, length: int = 500) -> str:
    line = " ".join(text.split())
    return line if len(line) <= length else line[: length - 1] + "…"


def show_traceback(error: BaseException) -> None:
    """Show where an error came from, if that is wanted."""
    if os.environ.get(DEBUG):
        traceback.print_exception(error, file=sys.stderr)


def _keep_traceback(error: BaseException) -> Path:
    name = f"recross-fault-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.txt"
    path = Path(tempfile.gettempdir()) / name
    lines = [f"{' '.join(sys.argv)}\n\n", *traceback.format_exception(error)]
    path.write_text(mask_secrets("".join(lines)), encoding="utf-8", errors="backslashreplace")
    return path
