"""Whether spawned processes, which run the main module again, would come back to the work at hand.

They would each start it anew, and their parent, which hands them more than a pipe holds, would
write to them for ever.
"""

from __future__ import annotations

import ast
import sys
import threading
from pathlib import Path

from recross.errors import InputError


def check_guarded(devices: int) -> None:
    """Refuse several devices where the main script does its work outside of its guard.

    Raises:
        InputError: the line of the script that is running stands under no test of ``__name__``.
    """
    line = _running_line()
    script = getattr(sys.modules["__main__"], "__file__", None)
    if devices == 1 or line is None or script is None or not Path(script).is_file():
        return
    if not _is_guarded(Path(script).read_text(encoding="utf-8"), line):
        raise InputError(
            "hardware.devices must be 1 in a script that does its work outside of"
            f' if __name__ == "__main__":, got {devices} in line {line} of {script}'
        )


def _running_line() -> int | None:
    """The line at which the main module runs or waits for a thread; ``None`` once it is through."""
    main = vars(sys.modules["__main__"])
    frame = sys._current_frames().get(threading.main_thread().ident or 0)
    while frame is not None:
        if frame.f_globals is main and frame.f_code.co_name == "<module>":
            return frame.f_lineno
        frame = frame.f_back
    return None


def _is_guarded(source: str, line: int) -> bool:
    """Whether a line stands under a test of the module's name."""
    return any(
        isinstance(node, ast.If)
        and node.lineno <= line <= (node.end_lineno or line)
        and any(
            isinstance(name, ast.Name) and name.id == "__name__" for name in ast.walk(node.test)
        )
        for node in ast.walk(ast.parse(source))
    )
