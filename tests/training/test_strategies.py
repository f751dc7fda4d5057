"""How Lightning shares a training, and what comes back from its processes."""

import pytest
from pytorch_lightning.strategies import DDPStrategy

from recross.machine.hardware import Hardware
from recross.training.strategies import NoCheckpoints, SharedWeightsStrategy, find_strategy


def test_one_process_trains_in_this_one():
    assert find_strategy(Hardware()) == "auto"


@pytest.mark.parametrize(
    "shards, kind",
    [
        ("nothing", DDPStrategy),
        ("optimiser", DDPStrategy),
        ("weights", SharedWeightsStrategy),
    ],
)
def test_several_processes_have_all_weights_or_parts(shards, kind):
    assert type(find_strategy(Hardware(devices=2, shards=shards))) is kind


def test_no_weights_come_back_and_no_folder_is_left(tmp_path):
    path = tmp_path / "made" / ".temp.ckpt"
    path.parent.mkdir()
    kept = NoCheckpoints()
    kept.save_checkpoint({"state_dict": {}}, path)
    assert [*path.parent.iterdir()] == []
    assert kept.load_checkpoint(path) == {}
    kept.remove_checkpoint(path)
    assert not path.parent.exists()
