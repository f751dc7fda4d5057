"""The machines that share a training: which of them this is, and by which way they are reached."""

from __future__ import annotations

import os
import socket
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager

ADDRESS, PORT, RANK = "MASTER_ADDR", "MASTER_PORT", "NODE_RANK"
"""Where the machines meet, and the number of each from 0, as torch and Lightning name them."""

INTERFACE = "GLOO_SOCKET_IFNAME"
"""The network interface whose address gloo tells the others."""
_GET_ADDRESS = 0x8915
"""What Linux's ``ioctl`` is asked for the address of an interface (``SIOCGIFADDR``)."""


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


def find_interface(address: str) -> str | None:
    """The interface by which this machine reaches an address; ``None``: only the system knows."""
    if sys.platform != "linux":
        return None
    import fcntl

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((address, 9))  # which chooses a way, and sends nothing
        except OSError:
            return None
        own = probe.getsockname()[0]
        for _, name in socket.if_nameindex():
            try:
                found = fcntl.ioctl(probe, _GET_ADDRESS, struct.pack("256s", name.encode()))
            except OSError:  # it has no address
                continue
            if socket.inet_ntoa(found[20:24]) == own:
                return name
    return None


@contextmanager
def announcing(address: str) -> Iterator[None]:
    """Within, gloo announces the interface by which ``address`` is reached, or the one it is told.

    Left alone it announces what this machine's own name stands for, which often is the machine
    itself (Debian's 127.0.1.1), or an address that it once had.
    """
    found = None if os.environ.get(INTERFACE) else find_interface(address)
    if found is not None:
        os.environ[INTERFACE] = found
    try:
        yield
    finally:
        if found is not None:
            del os.environ[INTERFACE]
