"""Whether spawned processes, which run the main module again, would come back to the work at hand.

They would each start it anew, and their parent, which hands them more than a pipe holds, would
write to them for ever.
"""

from __future__ import annotations

import ast
import inspect
import sys
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
    """The line of the main module that is running; ``None`` in a thread, where none is."""
    main = vars(sys.modules["__main__"])
    frames = (info.frame for info in inspect.stack(context=0))
    module_frames = [f for f in frames if f.f_globals is main and f.f_code.co_name == "<module>"]
    return module_frames[0].f_lineno if module_frames else None


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
