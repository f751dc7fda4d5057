"""What is read of finished experiments is verified, and what is damaged is said."""

import pytest

from recross.command.cli import main
from recross.experiment.finished_folder import seal_finished
from recross.report.finished import find_finished
from tests.small_study import write_study


@pytest.fixture
def study(tmp_path):
    """Three finished experiments: quick, slow and first."""
    folder = write_study(tmp_path / "study")
    for place in folder.iterdir():
        (place / "checkpoint").mkdir()
        (place / "checkpoint" / "weights").write_bytes(b"numbers")
        seal_finished(place, {})
    return folder


def names(folder):
    return [one.folder.name for one in find_finished([folder])]


def test_sound_folders_are_read_without_a_word(study, caplog):
    assert names(study) == ["first", "quick", "slow"]
    assert not caplog.records


@pytest.mark.parametrize("file", ["result.json", "measures.json", "reranked.trec", "manifest.json"])
@pytest.mark.parametrize(
    "change",
    [lambda _: b"", lambda whole: whole[:-1], lambda whole: whole[:9] + b"\0" + whole[10:]],
    ids=["emptied", "cut", "flipped"],
)
def test_a_folder_with_a_damaged_file_is_left_out_and_named_once(study, caplog, file, change):
    path = study / "slow" / file
    path.write_bytes(change(path.read_bytes()))
    assert names(study) == names(study) == ["first", "quick"]
    (said,) = caplog.messages
    assert said.startswith(f"{study / 'slow'}: {file} ")
    assert said.endswith("; left out, run the experiment again")


@pytest.mark.parametrize("file", ["result.json", "measures.json"])
def test_a_file_that_is_gone_is_damage_too(study, caplog, file):
    (study / "slow" / file).unlink()
    assert names(study) == ["first", "quick"]
    assert caplog.messages == [
        f"{study / 'slow'}: {file} is missing; left out, run the experiment again"
    ]


def test_a_checkpoint_that_no_table_reads_is_not_looked_at(study, caplog):
    (study / "slow" / "checkpoint" / "weights").write_bytes(b"")
    assert names(study) == ["first", "quick", "slow"]
    assert not caplog.records


def test_results_that_were_never_sealed_are_counted_in_one_line(tmp_path, caplog):
    assert names(write_study(tmp_path)) == ["first", "quick", "slow"]
    assert caplog.messages == [
        f"3 results have no manifest to be verified by, such as {tmp_path / 'first'}"
    ]


def test_a_table_has_no_number_of_a_damaged_folder(study, capsys, caplog):
    path = study / "slow" / "result.json"
    path.write_bytes(path.read_bytes().replace(b"MRR@10", b"MRR@11"))
    assert main(["table", str(study)]) == 0
    printed = capsys.readouterr().out
    assert "quick" in printed
    assert "slow" not in printed
    assert f"{path.parent}: result.json is not what was written; left out" in caplog.text
