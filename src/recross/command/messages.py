"""What the console script says while it works."""

from __future__ import annotations

import logging
import os
import sys


def send_messages_to_stderr() -> None:
    """Show our own messages, and of other libraries only their warnings."""
    if not sys.stderr.isatty():  # a log file wants lines, not bars
        os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    logging.getLogger("recross").setLevel(logging.INFO)
