"""What processes of Ray are told of the one that sends them work."""

import os
from pathlib import Path

import pytest

from recross.errors import RunError

ray = pytest.importorskip("ray", reason="the extra ray is not installed")
from recross.machine.ray_cluster import StartingPlace, connect_to_ray  # noqa: E402  # needs ray


def test_what_decides_how_work_runs_is_sent_and_secrets_are_not(monkeypatch):
    monkeypatch.setenv("HF_HOME", "/models")
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setenv("RECROSS_LOCKS", "files")
    sent = StartingPlace.here(OMP_NUM_THREADS="1").variables
    assert (sent["HF_HOME"], sent["RECROSS_LOCKS"]) == ("/models", "files")
    assert sent["OMP_NUM_THREADS"] == "1"
    assert "HF_TOKEN" not in sent
    assert "PATH" not in sent


def test_a_process_that_enters_stands_where_the_command_was_started(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RECROSS_LOCKS", "flock")
    (tmp_path / "elsewhere").mkdir()
    place = StartingPlace.here(RECROSS_LOCKS="files")
    os.chdir("elsewhere")
    place.enter()
    assert Path.cwd() == tmp_path
    assert os.environ["RECROSS_LOCKS"] == "files"


def test_a_cluster_that_does_not_answer_is_named_in_one_line(monkeypatch):
    def refuse(address, **_):
        raise ConnectionError(f"nobody at {address}")

    monkeypatch.setattr(ray, "init", refuse)
    expected = r"must be that of a cluster that answers, got '10.0.0.9:6379': nobody at 10.0.0.9"
    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
    for mode in ("", "token"):
        with pytest.raises(RunError, match=expected) as refused, connect_to_ray("10.0.0.9:6379"):
            pass
        assert ("RAY_AUTH_MODE=token shows that of" in str(refused.value)) == (mode == "")
        monkeypatch.setenv("RAY_AUTH_MODE", "token")
