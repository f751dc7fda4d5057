"""A block kept as Parquet is read as the run that was written."""

import pytest

from recross.runs import Run

pytest.importorskip("pyarrow", reason="the extra ray is not installed")
from recross.experiment.parquet_blocks import read_parquet, write_parquet  # needs it


def test_a_run_is_read_as_it_was_written_to_the_last_bit(tmp_path):
    run = Run.from_scores("any", {"q1": {"d1": 1 / 3, "d2": 0.1, "d3": 0.1}, "q2": {"ä": -1e-40}})
    write_parquet(run, tmp_path / "pairs.parquet")
    assert read_parquet(tmp_path / "pairs.parquet", ["q1", "q2"]).rankings == run.rankings


def test_every_pair_is_one_row_with_its_rank(tmp_path):
    import pyarrow.parquet

    write_parquet(Run.from_scores("any", {"q": {"d1": 0.5, "d2": 2.0}}), tmp_path / "pairs.parquet")
    assert pyarrow.parquet.read_table(tmp_path / "pairs.parquet").to_pylist() == [
        {"query_id": "q", "doc_id": "d2", "rank": 1, "score": 2.0},
        {"query_id": "q", "doc_id": "d1", "rank": 2, "score": 0.5},
    ]


def test_a_block_without_any_pair_is_read_as_one(tmp_path):
    write_parquet(Run("any", {"q": ()}), tmp_path / "pairs.parquet")
    assert read_parquet(tmp_path / "pairs.parquet", ["q"]).rankings == {"q": ()}
