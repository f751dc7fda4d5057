"""Golden scores: the published ones where the checkpoint is at hand, and the check itself."""

import csv

import pytest

from recross.checkpoints.location import is_at_hand
from recross.checkpoints.published import find_published
from recross.command.cli import main
from recross.command.golden import (
    GOLDEN_COLUMNS,
    check_golden,
    format_golden,
    list_published_golden,
    read_golden,
)
from recross.errors import InputError
from recross.rerankers.cross_encoder import CrossEncoder
from tests.conftest import save_tiny

SCORES = list_published_golden()


@pytest.mark.parametrize("checkpoint", sorted(SCORES))
def test_a_published_checkpoint_gives_its_published_scores(checkpoint):
    verdicts = check_golden({checkpoint: SCORES[checkpoint]})
    if all(one.measured is None for one in verdicts):
        pytest.skip(f"{checkpoint} is not in the hub's cache, and nothing is downloaded here")
    assert [one.verdict for one in verdicts] == ["met"] * len(verdicts), format_golden(verdicts)


def test_one_checkpoint_has_ten_pairs_and_every_score_has_a_source():
    assert all(one.source and one.tolerance > 0 for own in SCORES.values() for one in own)
    assert sum(map(len, SCORES.values())) >= 27
    own = SCORES["cross-encoder/ms-marco-MiniLM-L6-v2"]
    assert len({(one.query, one.document) for one in own}) == 10
    best = max(own, key=lambda one: one.score)
    assert best.document.startswith("The urban area of Berlin comprised about 4.1 million")


@pytest.fixture
def golden(tmp_path):
    """The scores of a tiny checkpoint, and one of a checkpoint that nobody has."""
    folder = str(save_tiny(tmp_path / "tiny"))
    documents = ["here lives a red cat", "here lives a blue dog"]
    scores = CrossEncoder(folder).score("red cat", documents)
    lines = [
        (folder, "red cat", document, float(score), 0.001, "here")
        for document, score in zip(documents, scores, strict=True)
    ]
    path = tmp_path / "golden.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(
            [GOLDEN_COLUMNS, *lines, ("no/body", "a", "b", 1.0, 0.1, "nowhere")]
        )
    return path


def test_scores_are_met_missed_or_skipped_with_the_reason(golden):
    scores = read_golden(golden)
    assert [one.verdict for one in check_golden(scores)] == ["met", "met", "skipped"]
    text = golden.read_text().splitlines()
    first = text[1].split(",")
    first[3] = str(float(first[3]) + 0.002)
    golden.write_text("\n".join([text[0], ",".join(first), *text[2:]]))
    verdicts = check_golden(read_golden(golden))
    assert [one.verdict for one in verdicts] == ["missed", "met", "skipped"]
    assert "skipped: not in the hub's cache" in format_golden(verdicts)


def test_the_command_exits_with_one_where_a_score_is_missed(golden, capsys):
    assert main(["contracts", "--check", "--golden", str(golden)]) == 0
    assert capsys.readouterr().out.count(" met |") == 2
    golden.write_text(golden.read_text().replace(",0.001,", ",-1,"))
    assert main(["contracts", "--check", "--golden", str(golden)]) == 1
    assert capsys.readouterr().out.count(" missed |") == 2


def test_a_checkpoint_is_scored_under_the_spelling_that_is_at_hand(tmp_path, monkeypatch):
    earlier, today = find_published("cross-encoder/ms-marco-MiniLM-L6-v2").ids
    asked = []
    monkeypatch.setattr("recross.command.golden.is_at_hand", lambda name: name == earlier)
    monkeypatch.setattr(
        "recross.command.golden.load_reranker",
        lambda name: asked.append(name) or CrossEncoder(str(save_tiny(tmp_path / "tiny"))),
    )
    check_golden({today: SCORES[today][:2]})
    assert asked == [earlier]


def test_a_folder_is_at_hand_and_an_unknown_id_is_not(tmp_path):
    assert is_at_hand(str(tmp_path))
    assert not is_at_hand("no/body")


def test_a_file_that_is_wrong_is_refused(tmp_path):
    with pytest.raises(InputError, match="must exist"):
        read_golden(tmp_path / "gone.csv")
    (tmp_path / "x.csv").write_text("checkpoint\nx\n")
    with pytest.raises(InputError, match="must have the columns"):
        read_golden(tmp_path / "x.csv")
    (tmp_path / "x.csv").write_text(",".join(GOLDEN_COLUMNS) + "\na,b,c,much,.1,d\n")
    with pytest.raises(InputError, match=r"x.csv:2: score must be a finite number, got .much."):
        read_golden(tmp_path / "x.csv")
