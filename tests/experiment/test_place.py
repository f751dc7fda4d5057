"""Where commands leave their files, on the first node and on others."""

from pathlib import Path

import pytest

from recross.experiment.place import Place
from recross.machine.hardware import Hardware


@pytest.fixture
def place(tmp_path):
    result = tmp_path / "s" / "result.json"
    return Place(result, result, result, tmp_path / "s" / ".lock", study=tmp_path)


def test_another_node_writes_beside_the_first_ones_files_and_to_no_study(place, monkeypatch):
    two = Hardware(nodes=2)
    assert place.on_node(two) is place
    monkeypatch.setenv("NODE_RANK", "1")
    assert place.on_node(Hardware()) is place
    other = place.on_node(two)
    assert {path.name for path in (other.result, other.config, other.failure)} == {
        ".result.json.node=1"
    }
    assert (other.lock.name, other.study, other.account) == (".lock.node=1", None, None)
    assert other.find_failure() == "no result was written"
    with other.alone():
        other.record_part()
    assert other.find_failure() is None
    assert not place.result.exists()
    assert [*Path(place.result.parent).glob("*.json")] == []  # nothing that is sealed
