"""The one line of a terminal on which work that goes on is drawn, below everything that is said."""

from __future__ import annotations

import os
import sys
from multiprocessing import parent_process
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.live import Live

BAR_WIDTH = 16


def is_watched() -> bool:
    """Whether somebody sees a live line: on a terminal, of a process that nobody's pool started."""
    is_terminal = sys.stderr is not None and sys.stderr.isatty()
    return is_terminal and os.environ.get("TERM") != "dumb" and parent_process() is None


class LiveLine:
    """A line that is drawn again and again; closed, nothing is left of it."""

    def __init__(self) -> None:
        self._live: Live | None = None

    def draw(self, name: str, share: float | None, *told: str) -> None:
        """Draw what goes on, a bar where a share of it is done, and what else there is to tell."""
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        row = Table.grid(padding=(0, 1))
        cells: list[Text | ProgressBar] = [Text(name, style="bold")]
        if share is not None:
            cells.append(ProgressBar(total=1.0, completed=share, width=BAR_WIDTH))
        cells.append(Text(", ".join(filter(None, told))))
        for _ in cells:
            row.add_column(no_wrap=True, overflow="ellipsis")
        row.add_row(*cells)
        self._begin().update(row, refresh=True)

    def close(self) -> None:
        """Remove the line."""
        if self._live is not None:
            self._live.stop()

    def _begin(self) -> Live:
        from rich.console import Console
        from rich.live import Live

        if self._live is None:
            self._live = Live(
                console=Console(stderr=True),
                transient=True,
                auto_refresh=False,
                redirect_stdout=False,
            )
            self._live.start()
        return self._live
