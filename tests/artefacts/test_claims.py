"""Claims to a lock: one holder of all machines; what nobody touches any more is taken over."""

import os
import time

import pytest

from recross.artefacts import claims
from recross.artefacts.claims import Claim, read_claim
from recross.errors import RunError

ELSEWHERE = "node7/boot/1 4711 cafe"


@pytest.fixture
def lock(tmp_path, monkeypatch):
    monkeypatch.setattr(claims, "STALE_SECONDS", 0.3)
    monkeypatch.setattr(claims, "LOOK_SECONDS", 0.02)
    return tmp_path / "lock"


def be_claimed_elsewhere(lock):
    Claim(lock).path.write_text(ELSEWHERE)


def test_a_claim_of_another_machine_is_taken_over_when_nobody_touches_it_any_more(lock, caplog):
    be_claimed_elsewhere(lock)
    claim, seen = Claim(lock), []
    assert not claim.try_to_take()
    claim.take(seen.append)
    assert [state.process for state in seen] == ["4711 on node7"]
    assert "4711 on node7 stands still; taken over" in caplog.text
    assert claim.is_ours
    claim.give_up()
    assert list(lock.parent.iterdir()) == []


class Clock:
    """Time that goes on only while somebody sleeps, who then sees what happens."""

    def __init__(self, happens):
        self.now, self.happens = 0.0, happens

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds
        self.happens(self.now)


def test_a_claim_that_is_touched_stays_however_long_and_whatever_its_clock_says(lock, monkeypatch):
    be_claimed_elsewhere(lock)
    other, claim = Claim(lock).path, Claim(lock)

    def happens(now):
        if now < 100 * claims.STALE_SECONDS:  # by another machine, whose clock stands at 1970
            os.utime(other, ns=(0, int(1000 * now)))
        else:
            other.unlink(missing_ok=True)

    clock = Clock(happens)
    monkeypatch.setattr(claims, "time", clock)
    claim.take(lambda _: None)
    monkeypatch.undo()
    assert clock.now == pytest.approx(100 * 0.3, abs=0.1)
    claim.give_up()


def test_a_holder_touches_its_claim(lock, monkeypatch):
    monkeypatch.setattr(claims, "BEAT_SECONDS", 0.02)
    monkeypatch.setattr(claims, "_beats", claims._Beats())
    claim = Claim(lock)
    assert claim.try_to_take()
    os.utime(claim.path, (0, 0))
    deadline = time.monotonic() + 60
    while read_claim(lock).touched_ns == 0 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert read_claim(lock).touched_ns > 0
    claim.give_up()


def test_who_lost_its_claim_is_told_and_takes_nothing_from_the_new_holder(lock):
    claim = Claim(lock)
    assert claim.try_to_take()
    claim.path.unlink()
    be_claimed_elsewhere(lock)
    with pytest.raises(RunError, match="a lock must be held until its work is done, got"):
        claim.give_up()
    assert read_claim(lock).owner == ELSEWHERE


def test_where_files_have_one_name_each_a_claim_is_made_in_one_step(lock, monkeypatch):
    def refuse(*_):
        raise PermissionError(1, "no hard links")

    monkeypatch.setattr(claims.os, "link", refuse)
    first, second = Claim(lock), Claim(lock)
    assert first.try_to_take()
    assert not second.try_to_take()
    first.give_up()
    assert second.try_to_take()
    second.give_up()
