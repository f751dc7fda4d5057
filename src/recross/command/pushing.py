"""``recross push``: a trained checkpoint to a model hub."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path


def push_checkpoint(words: Sequence[str]) -> str:
    """Send what the words name; returns what to print."""
    from recross.experiment.publishing import push_to_hub

    parser = argparse.ArgumentParser(prog="recross push")
    parser.add_argument("folder", type=Path, help="of an experiment, or of its checkpoint")
    parser.add_argument("--to", required=True, metavar="USER/NAME")
    parser.add_argument("--licence", help="as the hub names it: apache-2.0")
    parser.add_argument("--datasets", nargs="+", default=[], metavar="ID", help="of the hub")
    parser.add_argument("--private", action="store_true")
    parser.add_argument("--dry-run", action="store_true", help="send nothing, show what would be")
    asked = parser.parse_args(words)
    return push_to_hub(
        asked.folder,
        asked.to,
        licence=asked.licence,
        datasets=asked.datasets,
        private=asked.private,
        dry=asked.dry_run,
    )
