"""The cluster of Ray that work is sent to, and what each of its processes is told of this one."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import ray

from recross.errors import RunError
from recross.parts.secrets import is_secret_name

SENT_VARIABLES = ("RECROSS_", "HF_", "TRANSFORMERS_", "TOKENIZERS_", "WANDB_")
"""How variables begin that decide how work runs, on a machine that does not have them."""
HERE = "local"
"""What Ray calls a cluster of this machine that it starts and ends."""
OBJECT_STORE_BYTES = 200 << 20
"""Memory of a cluster of this machine for what processes hand each other: results are in files."""


@contextmanager
def connect_to_ray(address: str | None = None, cores: int | None = None) -> Iterator[bool]:
    """Use the cluster at ``address``, or that of ``RAY_ADDRESS``, or one of this machine.

    The last has so many ``cores`` (``None``: all that there are) and ends with the work. Gives
    whether it is of this machine. A connection that there is already is used, and stays.

    Raises:
        RunError: no cluster answers.
    """
    if ray.is_initialized():
        yield False
        return
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # it would tell its makers
    address = address or os.environ.get("RAY_ADDRESS") or HERE
    own: dict[str, Any] = {}
    if address == HERE:
        own |= {"num_cpus": cores, "object_store_memory": OBJECT_STORE_BYTES}
        own |= {"include_dashboard": False}
    try:
        ray.init(address=address, logging_level=logging.WARNING, **own)
    except Exception as error:  # Ray raises those of no class of its own, too
        raise RunError(
            f"the address of Ray must be that of a cluster that answers, got {address!r}: {error}"
            f"{_say_token(address)}"
        ) from error
    try:
        yield address == HERE
    finally:
        ray.shutdown()


def _say_token(address: str) -> str:
    """What a cluster may want that this process has not shown."""
    if address == HERE or os.environ.get("RAY_AUTH_MODE") == "token":
        return ""
    return "; where it asks for a token, RAY_AUTH_MODE=token shows that of ~/.ray/auth_token"


@dataclass(frozen=True)
class StartingPlace:
    """Where a command was started: its folder, and the variables that decide how work runs."""

    folder: str
    variables: Mapping[str, str]

    @classmethod
    def here(cls, **variables: str) -> Self:
        """That of this process, with further variables; secrets are to be known where work runs."""
        sent = {
            name: value
            for name, value in os.environ.items()
            if name.startswith(SENT_VARIABLES) and not is_secret_name(name)
        }
        return cls(str(Path.cwd()), {**sent, **variables})

    def enter(self) -> None:
        """Let this process of Ray run as if it were started there."""
        os.chdir(self.folder)  # outputs and data are named from there
        os.environ.update(self.variables)
