"""What the console script says while it works."""

from __future__ import annotations

import logging
import os
import sys

from recross.parts.secrets import mask_secrets


def send_messages_to_stderr() -> None:
    """Show our own messages, and of other libraries only their warnings."""
    if not sys.stderr.isatty():  # a log file wants lines, not bars
        os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    for handler in logging.getLogger().handlers:
        if mask_record not in handler.filters:
            handler.addFilter(mask_record)
    logging.getLogger("recross").setLevel(logging.INFO)


def mask_record(record: logging.LogRecord) -> bool:
    """Mask secrets in what is said, whoever says it."""
    record.msg, record.args = mask_secrets(record.getMessage()), ()
    return True
