"""What TensorBoard itself reads of an experiment."""

import importlib.util

import pytest

from recross.errors import InputError
from recross.tracking import tensor_board
from recross.tracking.tensor_board import TensorBoard


def read_events(folder):
    """The scalars of the one run of a folder, as TensorBoard lists them."""
    reading = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    events = reading.EventAccumulator(str(folder))
    events.Reload()
    return {
        name: [(event.step, event.value) for event in events.Scalars(name)]
        for name in events.Tags()["scalars"]
    }


@pytest.mark.skipif(not importlib.util.find_spec("tensorboard"), reason="needs extra tensorboard")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # the package's own
def test_curves_and_measures_are_events_and_an_earlier_runs_are_gone(tmp_path, caplog):
    folder = tmp_path / "my study" / "name" / "seed=0"
    caplog.set_level("INFO")
    for loss in (4.0, 0.5):
        log = TensorBoard().open(folder, "my study", "name", {"depth": 10, "teacher": None})
        log.log(1, {"loss": loss})
        log.log(2, {"loss": loss / 2, "dev MRR@10": 0.75})
        log.finish({"measures": {"MRR@10": 0.25}})
    read = read_events(folder / "tensorboard")
    assert read["loss"] == [(1, 0.5), (2, 0.25)]
    assert read["dev MRR@10"] == [(2, 0.75)]
    assert [value for _, value in read["measures/MRR@10"]] == [0.25]
    assert f"tensorboard --logdir '{tmp_path}/my study'" in caplog.text
    assert (folder / "log.jsonl").is_file()


def test_a_missing_package_names_its_extra(monkeypatch):
    monkeypatch.setattr(tensor_board, "is_installed", lambda _name: False)
    with pytest.raises(InputError, match=r"needs the package tensorboard \(extra tensorboard\)"):
        TensorBoard()
