"""The machines that share a training: which of them this is, as the environment says."""

from __future__ import annotations

import os
from collections.abc import Iterator

ADDRESS, PORT, RANK = "MASTER_ADDR", "MASTER_PORT", "NODE_RANK"
"""Where the machines meet, and the number of each from 0, as torch and Lightning name them."""


def read_node_rank(nodes: int) -> int:
    """The number of this machine among so many, from 0; one alone is the first, whatever is set."""
    return int(os.environ.get(RANK, "0")) if nodes > 1 else 0


def find_meeting_lacks(nodes: int) -> Iterator[str]:
    """What the environment does not say of where several machines meet, and which this one is."""
    if nodes == 1:
        return
    for name in (ADDRESS, PORT, RANK):
        if not os.environ.get(name):
            yield f"nodes must be 1 where {name} is not set in the environment, got {nodes}"
    for name, end in ((PORT, 1 << 16), (RANK, nodes)):
        value = os.environ.get(name)
        if value and not (value.isdecimal() and int(value) < end):
            yield f"{name} must be a whole number below {end} for nodes={nodes}, got {value!r}"
