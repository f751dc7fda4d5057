"""Locks of plain files, for file systems whose ``flock`` is missing or known to one machine only.

A holder links a file of its own to the lock's name, which succeeds for one of all machines, and
goes on touching it. Who waits takes over what its holder no longer touches.
"""

from __future__ import annotations

import errno
import logging
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from recross.errors import RunError

logger = logging.getLogger(__name__)

BEAT_SECONDS = 5.0
"""How often a holder touches its claims."""
STALE_SECONDS = 60.0
"""For how long a claim lies untouched before it is taken over, by the clock of who waits."""
LOOK_SECONDS = 0.1
"""How often who waits looks whether the claim is gone."""
_NO_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK}


@cache
def _name_machine() -> str:
    """The machine since it started, and the namespace in which its numbers of processes hold."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{socket.gethostname()}/{boot}/{Path('/proc/self/ns/pid').stat().st_ino}"
    except OSError:
        return f"{socket.gethostname()}/{secrets.token_hex(8)}"


def _lives(process: int) -> bool:
    """Whether a process is at work; one that ended, and whose parent did not notice, is not."""
    try:
        state = Path(f"/proc/{process}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return False
    return state.rpartition(") ")[2][:1] not in ("Z", "X")


@dataclass(frozen=True)
class ClaimState:
    """A claim as it lies there: who holds it, and when that was last said."""

    owner: str
    touched_ns: int

    @property
    def process(self) -> str:
        """The process that holds it, and its machine."""
        machine, _, rest = self.owner.partition(" ")
        return f"{rest.partition(' ')[0]} on {machine.partition('/')[0]}"

    @property
    def is_of_dead_process(self) -> bool:
        """Whether its process ran on this machine, and is gone."""
        machine, _, rest = self.owner.partition(" ")
        number = rest.partition(" ")[0]
        return machine == _name_machine() and number.isdigit() and not _lives(int(number))

    @property
    def is_abandoned(self) -> bool:
        """Whether nobody is at work, by this machine's clock and that of the file system."""
        idle_seconds = time.time() - self.touched_ns / 1e9
        return self.is_of_dead_process or idle_seconds > 2 * STALE_SECONDS


@dataclass(frozen=True)
class Claim:
    """One holder's claim to a lock, taken or yet to be taken."""

    lock: Path
    owner: str = field(
        default_factory=lambda: f"{_name_machine()} {os.getpid()} {secrets.token_hex(8)}"
    )

    @property
    def path(self) -> Path:
        """The file that says who holds the lock."""
        return self.lock.with_name(f"{self.lock.name}.held")

    def try_to_take(self) -> bool:
        """Take the lock if nobody has it, or only a process of this machine that is gone."""
        while not self._link():
            found = read_claim(self.lock)
            if found is None:
                continue
            if not found.is_of_dead_process:
                return False
            self._clear(found)
        _beats.begin(self)
        return True

    def take(self, on_wait: Callable[[ClaimState], None]) -> None:
        """Take the lock, waiting for who has it as long as that one is at work."""
        seen, since = None, time.monotonic()
        while not self.try_to_take():
            found = read_claim(self.lock)
            if found is None:
                continue
            if seen is None:
                on_wait(found)
            if found != seen:
                seen, since = found, time.monotonic()
            elif time.monotonic() - since > STALE_SECONDS:
                logger.warning("%s: process %s stands still; taken over", self.lock, found.process)
                self._clear(found)
                continue
            time.sleep(LOOK_SECONDS)

    def give_up(self) -> None:
        """Let others have the lock.

        Raises:
            RunError: another process took it, because this one stood still.
        """
        _beats.end(self)
        if not self.is_ours:
            raise RunError(
                f"a lock must be held until its work is done, got {str(self.lock)!r} taken over"
                f" while this process stood still for {STALE_SECONDS:.0f} seconds; run it again"
            )
        self.path.unlink()

    @property
    def is_ours(self) -> bool:
        """Whether it is still this holder's."""
        found = read_claim(self.lock)
        return found is not None and found.owner == self.owner

    def _link(self) -> bool:
        own = self.path.with_name(f"{self.path.name}.{secrets.token_hex(8)}")
        own.write_text(self.owner, encoding="utf-8")
        try:
            os.link(own, self.path)
        except FileExistsError:
            return False
        except OSError as error:
            return own.stat().st_nlink == 2 or (error.errno in _NO_LINKS and self._create())
        finally:
            own.unlink()
        return True

    def _create(self) -> bool:
        """Where files have one name each: made by one process, filled later."""
        try:
            with self.path.open("x", encoding="utf-8") as file:
                file.write(self.owner)
        except FileExistsError:
            return False
        return True

    def _clear(self, stale: ClaimState) -> None:
        """Remove a claim that is as it was seen; one process at a time, or a new one might go."""
        alone = Claim(self.path)
        alone.take(lambda _: None)
        try:
            if read_claim(self.lock) == stale:
                self.path.unlink(missing_ok=True)
        finally:
            alone.give_up()


def read_claim(lock: Path) -> ClaimState | None:
    """Who holds a lock, as its file says now; it is opened, which asks the server anew."""
    try:
        with lock.with_name(f"{lock.name}.held").open(encoding="utf-8") as file:
            return ClaimState(file.read(), os.fstat(file.fileno()).st_mtime_ns)
    except FileNotFoundError:
        return None


class _Beats:
    """The claims of this process, which a thread touches while they are held."""

    def __init__(self) -> None:
        self.held: set[Claim] = set()
        self._at_work: threading.Thread | None = None
        self._end = threading.Event()  # never set: the thread ends with its process

    def begin(self, claim: Claim) -> None:
        self.held.add(claim)
        if self._at_work is None:
            self._at_work = threading.Thread(target=self._beat, daemon=True, name="claims")
            self._at_work.start()

    def end(self, claim: Claim) -> None:
        self.held.discard(claim)

    def forget(self) -> None:
        """In a forked child, which has neither its parent's locks nor its threads."""
        self.held.clear()
        self._at_work = None

    def _beat(self) -> None:
        while not self._end.wait(BEAT_SECONDS):
            for claim in tuple(self.held):
                with suppress(OSError):  # the file system is away; who waits does not see it, too
                    if claim.is_ours:
                        os.utime(claim.path)


_beats = _Beats()
os.register_at_fork(after_in_child=_beats.forget)
