"""Rows of a study compared: seeds are averaged by query, patterns choose and order."""

import json

import pytest

from recross.command.cli import main
from recross.errors import InputError
from recross.report.tables.row_evaluations import read_row_evaluations
from recross.store import write_json
from tests.report.test_tables import result

VALUES = {
    ("random", 0): [0.0, 0.5, 1.0],
    ("random", 1): [0.5, 0.5, 0.0],
    ("bm25", 0): [1.0, 1.0, 1.0],
    ("bm25", 1): [0.5, 1.0, 1.0],
}


@pytest.fixture
def study(tmp_path):
    for (label, seed), values in VALUES.items():
        folder = tmp_path / "s" / label / f"seed={seed}"
        record = {**result(f"negatives from {label}", 0.5), "seed": seed}
        write_json(folder / "result.json", record)
        per_query = {"MRR@10": dict(zip(["q1", "q2", "q3"], values, strict=True))}
        first = {"MRR@10": dict.fromkeys(["q1", "q2", "q3"], 0.25)}
        parts = {"reranked": {"per_query": per_query}, "first_stage": {"per_query": first}}
        (folder / "measures.json").write_text(json.dumps(parts))
    return tmp_path / "s"


def test_every_querys_value_is_averaged_over_the_seeds_of_its_row(study):
    found = read_row_evaluations([study], ["MRR@10"])
    assert list(found) == ["negatives from bm25", "negatives from random"]
    assert found["negatives from random"].per_query["MRR@10"] == {"q1": 0.25, "q2": 0.5, "q3": 0.5}
    assert found["negatives from bm25"].mean["MRR@10"] == pytest.approx(2.75 / 3)


def test_patterns_choose_rows_in_their_order_and_first_stages_too(study):
    patterns = ["*random", "first stage of *bm25", "*bm25"]
    assert list(read_row_evaluations([study], ["MRR@10"], patterns)) == [
        "negatives from random",
        "first stage of negatives from bm25",
        "negatives from bm25",
    ]
    with pytest.raises(InputError, match="rows must match one of negatives from bm25"):
        read_row_evaluations([study], ["MRR@10"], ["nothing"])
    with pytest.raises(InputError, match="measures must be among MRR@10, got 'P@3'"):
        read_row_evaluations([study], ["P@3"])


def test_the_command_compares_with_the_first_row(study, capsys):
    assert main(["compare", str(study), "--rows", "*from random", "*from bm25"]) == 0
    line = next(s for s in capsys.readouterr().out.splitlines() if s.startswith("| MRR@10"))
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells[1:3] == ["negatives from bm25", "negatives from random"]
    assert cells[3].startswith("+0.5000 ")
    assert cells[4:7] == ["3", "0", "0"]
