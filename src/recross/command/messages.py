"""What the console script says while it works."""

from __future__ import annotations

import logging
import os
import sys
from typing import TextIO

from recross.parts.secrets import mask_secrets

BARS_OF_OTHERS = {
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "IR_DATASETS_DL_DISABLE_PBAR": "true",
    "TQDM_DISABLE": "1",
}
"""Variables that switch off bars beside the one line of ours, which says what goes on."""


def send_messages_to_stderr() -> None:
    """Show our own messages, and of other libraries only their warnings."""
    for name, value in BARS_OF_OTHERS.items():
        os.environ.setdefault(name, value)
    logging.basicConfig(level=logging.WARNING, format="%(message)s", handlers=[_Messages()])
    for handler in logging.getLogger().handlers:
        if mask_record not in handler.filters:
            handler.addFilter(mask_record)
    logging.getLogger("recross").setLevel(logging.INFO)


class _Messages(logging.StreamHandler[TextIO]):
    """Says on standard error whatever that is by then: above a live line while there is one."""

    @property
    def stream(self) -> TextIO:
        return sys.stderr

    @stream.setter
    def stream(self, _: TextIO) -> None: ...


def mask_record(record: logging.LogRecord) -> bool:
    """Mask secrets in what is said, whoever says it."""
    record.msg, record.args = mask_secrets(record.getMessage()), ()
    return True
