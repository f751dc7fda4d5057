"""Means over collections: which rows have one, what it is by hand, and where it is shown."""

import csv
import io
import math

import pytest

from recross.errors import InputError
from recross.report.collation import collate
from recross.report.parity import judge
from recross.report.references import ReferenceValue
from recross.report.tables.latex import format_latex
from recross.report.tables.means import make_mean_rows, make_table_rows, name_mean
from recross.report.tables.row_references import read_references
from recross.report.tables.rows import make_rows
from recross.report.tables.table import comma_separated, format_markdown
from recross.store import write_json
from tests.report.test_tables import HEADER, result


def on(collection, label, mrr, planted=False, **more):
    """A record whose label tells the collection by a letter of its own."""
    found = result(f"{label} on {collection[-1]}", mrr, **more)
    suffix = " with planted positives" if planted else ""
    return found | {
        "collection_name": collection,
        "reranker": {"class": "CrossEncoder", "checkpoint": label},
        "retriever": {"class": "PlantedPositives" if planted else "BM25"},
        "candidates": found["candidates"] + suffix,
    }


RECORDS = [
    on("set-a", "first", 0.2),
    on("set-b", "first", 0.4),
    on("set-a", "big", 0.5, p=0.01, parameters=22_000_000),
    on("set-b", "big", 0.8, p=0.01, parameters=22_000_000),
    on("set-a", "small", 0.6, p=0.01),
]


def means(records, references=()):
    return {row.label: row for row in make_mean_rows(make_rows(records, {}), dict(references))}


def test_a_mean_by_hand_stands_only_where_every_collection_has_its_row():
    found = means(RECORDS)
    assert list(found) == ["first on mean of 2", "big on mean of 2"]  # small lacks set-b
    big = found["big on mean of 2"]
    assert big.measures["MRR@10"].mean == pytest.approx((0.5 + 0.8) / 2)
    half = math.sqrt(0.1**2 + 0.1**2) / 2  # of two intervals of +- 0.1
    assert big.measures["MRR@10"].low == pytest.approx(0.65 - half)
    assert big.measures["MRR@10"].high == pytest.approx(0.65 + half)
    assert big.difference == pytest.approx(0.65 - 0.4)
    assert (big.collections, big.parameters, big.p_value) == (2, 22_000_000, None)
    assert found["first on mean of 2"].difference is None
    assert len(means([*RECORDS, on("set-b", "small", 0.1, p=0.01)])) == 3
    whole = means([*RECORDS, on("set-c", "big", 0.2, p=0.01)])
    assert list(whole) == ["big on mean of 3"]
    assert whole["big on mean of 3"].measures["MRR@10"].mean == pytest.approx(0.5)


def test_one_collection_its_folds_and_other_studies_make_no_mean():
    assert means(RECORDS[::2]) == {}
    folds = [on("set-a", "big", 0.5, p=0.1) | {"label": f"big, fold {n}"} for n in range(5)]
    assert means(folds) == {}
    elsewhere = [record | {"study": record["collection_name"]} for record in RECORDS]
    assert means(elsewhere) == {}


def test_models_are_told_apart_by_what_they_are_not_by_their_labels():
    alike = [record | {"label": f"run {n}"} for n, record in enumerate(RECORDS)]
    found = means(alike)
    assert list(found) == ["mean of 2: run 0; run 1", "mean of 2: run 2; run 3"]
    deeper = [on(f"set-{c}", "big", 0.1, p=0.1) | {"depth": 10 * n} for n, c in enumerate("ab")]
    assert means(deeper) == {}


def test_planted_and_unplanted_candidates_are_never_averaged():
    both = [on("set-a", "big", 0.5, p=0.1), on("set-b", "big", 0.9, p=0.1, planted=True)]
    assert means(both) == {}
    same_label = [on("set-a", "big", 0.5, p=0.1), on("set-a", "big", 0.9, p=0.1, planted=True)]
    with pytest.raises(InputError, match="label 'big on a' must be of one set of candidates"):
        make_rows(same_label, {})
    other = [on("set-a", "big", 0.5, p=0.1), on("set-b", "big", 0.9, p=0.1) | {"label": "big on a"}]
    with pytest.raises(InputError, match="label 'big on a' must be of one collection"):
        make_rows(other, {})


def test_seeds_and_interpolated_rows_have_means_of_their_own():
    seeds = [
        on(f"set-{c}", "big", mrr + seed / 10, p=0.1, weight=0.5 + seed / 10, seed=seed)
        for c, mrr in (("a", 0.2), ("b", 0.4))
        for seed in (0, 1)
    ]
    found = means(seeds)
    assert list(found) == ["big on mean of 2", "big on mean of 2, interpolated"]
    assert [row.seeds for row in found.values()] == [2, 2]
    assert found["big on mean of 2"].measures["MRR@10"].mean == pytest.approx(0.35)


def test_the_range_of_ties_is_that_of_the_mean_where_all_know_theirs():
    tied = [
        record | {"ties": {"MRR@10": {"least": low, "greatest": low + 0.2, "expected": 0.5}}}
        for record, low in zip(RECORDS[2:4], (0.4, 0.7), strict=True)
    ]
    assert means(tied)["big on mean of 2"].measures["MRR@10"].ties == pytest.approx((0.55, 0.75))
    assert means([tied[0], RECORDS[3]])["big on mean of 2"].measures["MRR@10"].ties is None


@pytest.mark.parametrize(
    "labels, name",
    [
        (["big on a", "big on b", "big on c"], "big on mean of 3"),
        (["a: big", "b: big"], "mean of 2 big"),
        (["big on a, planted", "big on b, planted"], "big on mean of 2 planted"),
        (["big a", "big"], "big mean of 2"),
        (["one", "two"], "mean of 2: one; two"),
    ],
)
def test_a_mean_is_named_by_what_the_labels_share(labels, name):
    assert name_mean(labels) == name


@pytest.fixture
def reference(tmp_path):
    path = tmp_path / "reference.csv"
    path.write_text(
        HEADER + "s,big on mean of 2,published,MRR@10,0.66,0.02,top 10 of others,a paper\n"
        "s,small on mean of 2,published,MRR@10,0.7,0.02,top 10 of others,a paper\n"
    )
    return path


def test_a_published_mean_stands_beside_the_measured_one_and_alone_where_there_is_none(reference):
    rows = make_table_rows(RECORDS, read_references([reference], {"s"}))
    by_label = {row.label: row for row in rows}
    assert len(by_label) == len(rows) == len(RECORDS) + 3
    assert by_label["big on mean of 2"].is_published_over_others
    assert not by_label["small on mean of 2"].measures
    text = format_markdown(rows)
    (line,) = (line for line in text.splitlines() if line.startswith("| big on mean of 2 "))
    assert "0.6500" in line
    assert "0.6600†" in line
    assert "each collection weighs the same" in text
    assert "each collection weighs the same" not in format_markdown(make_rows(RECORDS, {}))


def test_the_csv_says_over_how_many_and_latex_and_page_show_the_row(tmp_path, reference):
    rows = make_table_rows(RECORDS, {})
    lines = {line["label"]: line for line in csv.DictReader(io.StringIO(comma_separated(rows)))}
    assert lines["big on mean of 2"]["collections"] == "2"
    assert lines["big on a"]["collections"] == ""
    assert "big on mean of 2 & \\textbf{0.6500}" in format_latex(rows)
    for number, record in enumerate(RECORDS):
        folder = tmp_path / "s" / str(number)
        write_json(folder / "result.json", record)
        write_json(folder / "measures.json", {})
    collate([tmp_path / "s"], reference)
    for suffix in ("md", "csv", "tex", "html"):
        assert "big on mean of 2" in (tmp_path / "s" / f"table.{suffix}").read_text()


def test_means_are_held_against_published_ones_over_the_same_candidates():
    def value(number, candidates):
        return ReferenceValue(
            "s", "big on mean of 2", "published", "MRR@10", number, 0.01, candidates, "a paper"
        )

    own = RECORDS[2]["candidates"]
    asked = [value(0.655, own), value(0.7, own), value(0.65, "others")]
    assert [one.verdict for one in judge(RECORDS, asked)] == ["met", "missed", "not comparable"]
