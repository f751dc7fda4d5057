import csv
import io

import pytest

from recross.errors import InputError
from recross.experiment.origin import find_own_version
from recross.report.finished import find_finished
from recross.report.plots import plot_curves, plot_quality_latency
from recross.report.tables.row_references import read_references
from recross.report.tables.rows import make_rows
from recross.report.tables.table import comma_separated, format_markdown
from recross.store import write_json

HEADER = "study,label,kind,measure,value,tolerance,candidates,source\n"


def result(
    label,
    mrr,
    p=None,
    seed=0,
    weight=None,
    parameters=None,
    passes=100,
    backend="torch",
    tau=None,
):
    reranks = p is not None
    part = {
        "measures": {"MRR@10": mrr},
        "intervals": {"MRR@10": [mrr - 0.1, mrr + 0.1]},
        "p_values": {"MRR@10": p if reranks else 1.0},
    }
    return {
        "study": "s",
        "label": label,
        "seed": seed,
        "status": "done",
        "collection": {"class": "Files"},
        "retriever": {"class": "BM25"},
        "depth": 10,
        "reranks": reranks,
        "candidates": "BM25 k1=0.9 b=0.4 top 10" if reranks else "full collection",
        "base_checkpoint": "a/model" if reranks else None,
        "collection_name": "toy",
        **part,
        "first_stage_measures": {"MRR@10": 0.4},
        "interpolation": {**part, "weight": weight} if weight is not None else None,
        "latency_ms_per_100": {"p50": 2500.0, "p95": 3000.0, "tokenize": 9.0, "forward": 2400.0}
        if reranks
        else None,
        "first_stage_ms": {"p50": 12.0, "p95": 15.0},
        "pairs_per_second": 40.0 if reranks else None,
        "cost": {"forward_passes": passes * 5, "tokens": passes * 450} if reranks else {},
        "queries": {"asked": 5, "scored": 5},
        "backend": backend,
        "precision": "fp32",
        "quality_gate": None if tau is None else {"tau_mean": tau, "passed": tau > 0.98},
        "parameters": parameters,
        "size_mb": parameters * 4 / 1e6 if parameters else None,
    }


RESULTS = [
    result("big", 0.55, p=0.001, parameters=22_000_000, weight=0.6),
    result("strong first", 0.4),
    result("small", 0.45, p=0.03, parameters=15_000_000),
    result("weak first", 0.3),
]


def test_first_stages_come_first_and_rerankers_by_size():
    labels = [row.label for row in make_rows(RESULTS, {})]
    assert labels == ["weak first", "strong first", "small", "big", "big, interpolated (0.60)"]


def test_marks_are_corrected_for_the_number_of_rows():
    rows = {row.label: row for row in make_rows(RESULTS, {})}
    assert rows["big"].p_value == pytest.approx(0.003)  # smallest of three
    assert rows["small"].p_value == pytest.approx(0.03)
    two_more = [result("c", 0.4, p=0.04), result("d", 0.4, p=0.5)]
    crowded = {row.label: row for row in make_rows([*RESULTS, *two_more], {})}
    assert crowded["small"].p_value == pytest.approx(0.09)
    assert crowded["small"].mark == ""


def test_seeds_are_averaged_and_their_worst_p_value_counts():
    rows = make_rows([result("a", 0.4, p=0.01), result("a", 0.5, p=0.2, seed=1)], {})
    (row,) = rows
    assert row.seeds == 2
    assert row.measures["MRR@10"].mean == pytest.approx(0.45)
    assert row.measures["MRR@10"].sd == pytest.approx(0.0707, abs=1e-4)
    assert row.p_value == 0.2


def test_the_markdown_table_shows_marks_intervals_and_latency():
    text = format_markdown(make_rows(RESULTS, {}))
    lines = text.splitlines()
    assert len({line.count("|") for line in lines[:7]}) == 1
    big = next(line for line in lines if line.startswith("| big "))
    assert "0.5500▲ [0.450, 0.650]" in big
    assert "2,500" in big
    assert "88" in big


def test_a_value_that_other_orders_of_ties_would_change_says_so_and_others_do_not():
    open_ended = result("open", 0.55, p=0.001)
    open_ended["ties"] = {"MRR@10": {"least": 0.5, "greatest": 0.6, "expected": 0.55}}
    closed = result("closed", 0.5, p=0.001)
    closed["ties"] = {"MRR@10": {"least": 0.49999, "greatest": 0.50001, "expected": 0.5}}
    text = format_markdown(make_rows([open_ended, closed], {}))
    assert "0.5500▲ [0.450, 0.650] (ties: 0.5000 to 0.6000) |" in text
    assert text.count("ties: ") == 1
    assert "other orders of documents with one score" in text
    assert "Ties" not in format_markdown(make_rows([closed], {}))


def test_the_range_of_ties_is_averaged_over_seeds_that_all_know_it():
    seeds = [result("a", 0.5, p=0.1, seed=seed) for seed in (0, 1)]
    seeds[0]["ties"] = {"MRR@10": {"least": 0.4, "greatest": 0.6, "expected": 0.5}}
    (unknown,) = make_rows(seeds, {})
    assert unknown.measures["MRR@10"].ties is None
    seeds[1]["ties"] = {"MRR@10": {"least": 0.5, "greatest": 0.5, "expected": 0.5}}
    (row,) = make_rows(seeds, {})
    assert row.measures["MRR@10"].ties == pytest.approx((0.45, 0.55))


def test_a_significant_loss_is_not_marked_as_a_gain():
    rows = {row.label: row for row in make_rows([result("worse", 0.3, p=0.001)], {})}
    assert rows["worse"].mark == "▼"


def test_a_row_leads_to_the_folders_of_its_experiments():
    seeds = [{**result("big", 0.5, p=0.5, seed=n), "folder": f"out/seed={n}"} for n in (0, 1)]
    (row,) = make_rows(seeds, {})
    assert row.folders == ("out/seed=0", "out/seed=1")
    (line,) = csv.DictReader(io.StringIO(comma_separated([row])))
    assert line["folders"] == "out/seed=0 out/seed=1"


def test_what_another_version_has_made_is_named_below_the_table():
    ours, theirs = find_own_version(), "0.0.1"
    made = [{**result("old", 0.5), "recross": theirs}, {**result("new", 0.4), "recross": ours}]
    shown = format_markdown(make_rows(made, {}))
    assert f"Not made by this version of recross, {ours}: old (0.0.1)." in shown
    assert "Not made by this version" not in format_markdown(make_rows(made[1:], {}))


def test_the_csv_holds_plain_numbers():
    rows = list(csv.DictReader(io.StringIO(comma_separated(make_rows(RESULTS, {})))))
    big = next(row for row in rows if row["label"] == "big")
    assert float(big["MRR@10 mean"]) == 0.55
    assert float(big["MRR@10 p"]) == pytest.approx(0.003)
    assert float(big["p50_ms"]) == 2500
    assert big["parameters"] == "22000000"


def test_references_stand_beside_measured_values_and_unmeasured_rows_are_kept(tmp_path):
    path = tmp_path / "reference.csv"
    path.write_text(
        HEADER
        + "s,big,given,MRR@10,0.7,,,\ns,big,given,latency_ms_per_100,100,,,\n"
        + "s,big,given,size_mb,90,,,\ns,big,published,MRR@10,0.56,0.02,top 10,a paper\n"
        + "s,other,given,MRR@10,0.8,,,\nt,big,given,MRR@10,0,,,\ns,own,measured,MRR@10,1,1,x,\n"
    )
    rows = make_rows(RESULTS, read_references([path], {"s"}))
    text = format_markdown(rows)
    header, big = (
        [
            cell.strip()
            for cell in next(li for li in text.splitlines() if f"| {word} " in li).split("|")
        ]
        for word in ("model", "big")
    )
    shown = dict(zip(header, big, strict=True))
    assert shown["given"] == "0.700"
    assert (shown["given ms/100"], shown["given MB"]) == ("100", "90")
    assert shown["published"] == "0.5600†"  # over some top 10, and the row over BM25's
    assert "- big: a paper (over top 10)" in text
    assert "†: published over other candidates" in text
    assert any(row.label == "other" and not row.measures for row in rows)
    assert not any(row.label == "own" for row in rows)  # checked, not shown


def test_a_value_that_is_published_over_the_rows_own_candidates_has_no_mark(tmp_path):
    path = tmp_path / "reference.csv"
    own = "bm25  k1=0.9 b=0.4 top 10"  # case and blanks are nothing
    path.write_text(HEADER + f"s,big,published,MRR@10,0.56,0.02,{own},a paper\n")
    text = format_markdown(make_rows(RESULTS, read_references([path], {"s"})))
    assert any("0.5600" in cell for cell in text.split("|"))
    assert "†" not in text


def test_a_reference_file_that_is_missing_or_lacks_columns_is_refused(tmp_path):
    with pytest.raises(InputError, match="reference must exist"):
        read_references([tmp_path / "gone.csv"], {"s"})
    (tmp_path / "bad.csv").write_text("label\nx\n")
    with pytest.raises(InputError, match="must have the columns study, label, kind"):
        read_references([tmp_path / "bad.csv"], {"s"})


def test_failed_and_unfinished_experiments_have_no_row(tmp_path):
    write_json(tmp_path / "a" / "result.json", result("done", 0.4))
    write_json(tmp_path / "b" / "result.json", {"status": "failed", "label": "failed"})
    (tmp_path / "c").mkdir()
    assert [one.record["label"] for one in find_finished([tmp_path])] == ["done"]


def test_the_plot_is_drawn_in_both_forms_or_not_at_all(tmp_path):
    paths = plot_quality_latency(make_rows(RESULTS, {}), tmp_path)
    assert [path.suffix for path in paths] == [".png", ".svg"]
    assert all(path.stat().st_size > 5000 for path in paths)
    assert plot_quality_latency([], tmp_path) == []


def test_labels_are_sorted_by_the_numbers_in_them():
    found = make_rows([result(f"big at {depth}", 0.4, p=0.5) for depth in (100, 20, 1000)], {})
    assert [row.label for row in found] == ["big at 20", "big at 100", "big at 1000"]


def test_curves_are_drawn_over_what_their_rows_differ_in(tmp_path):
    points = [
        result(f"big at {depth}", value) | {"curve": "big", "depth": depth}
        for depth, value in ((10, 0.4), (100, 0.5))
    ]
    paths = plot_curves(make_rows(points, {}), tmp_path)
    assert [path.name for path in paths] == ["quality_depth.png", "quality_depth.svg"]
    assert "candidates re-ranked" in paths[1].read_text()
    timed = [point | {"budget_ms": 2.5 * point["depth"]} for point in points]
    alone = result("first", 0.3) | {"curve": "first stage", "depth": 100}
    paths = plot_curves(make_rows([*timed, alone], {}), tmp_path)
    assert [path.name for path in paths] == ["quality_budget.png", "quality_budget.svg"]
    assert plot_curves(make_rows([alone, *RESULTS], {}), tmp_path) == []
    trained = [
        point | {"depth": 10, "training": {"pairs": 64 * steps, "steps": steps, "seconds": 1}}
        for point, steps in zip(points, (16, 160), strict=True)
    ]
    paths = plot_curves(make_rows([*trained, alone], {}), tmp_path)
    assert [path.name for path in paths] == ["quality_training.png", "quality_training.svg"]
    assert "training pairs" in paths[1].read_text()


def test_passes_and_tokens_of_a_query_are_shown_where_rows_differ_in_them():
    same = format_markdown(make_rows(RESULTS, {}))
    assert "passes/query" not in same
    duo = result("duo", 0.6, p=0.01, passes=2450)
    table = format_markdown(make_rows([*RESULTS, duo], {}))
    header, *lines = [
        [cell.strip() for cell in line.split("|")] for line in table.splitlines() if "|" in line
    ]
    column = header.index("passes/query")
    shown = {cells[1]: cells[column : column + 2] for cells in lines}
    assert shown["duo"] == ["2,450", "220,500"]
    assert shown["small"] == ["100", "9,000"]
    assert shown["weak first"] == ["–", "–"]


def test_passes_are_those_of_a_query_whether_or_not_its_scores_were_kept():
    kept = result("kept", 0.6, p=0.01)
    kept["cost"] = {"forward_passes": 0, "cache_hits": 60, "tokens": 0, "kept_tokens": 600}
    half = result("half", 0.6, p=0.01)
    half["cost"] |= {"forward_passes": 20, "cache_hits": 60, "tokens": 800, "kept_tokens": 2400}
    servers = result("servers", 0.6, p=0.01)  # which do not say what kept scores had taken
    servers["cost"] |= {"forward_passes": 20, "cache_hits": 60, "tokens": 800}
    rows = {row.label: row for row in make_rows([kept, half, servers], {})}
    assert rows["servers"].tokens_per_query is None
    assert (rows["kept"].passes_per_query, rows["kept"].tokens_per_query) == (12, 120)
    assert (rows["half"].passes_per_query, rows["half"].tokens_per_query) == (16, 640)


def test_back_ends_are_shown_where_rows_differ_and_the_worst_seed_speaks_for_the_gate():
    assert "back-end" not in format_markdown(make_rows(RESULTS, {}))
    rough = [
        result("rough", 0.5, p=0.01, seed=seed, backend="torch_int8", tau=tau)
        for seed, tau in enumerate((0.99, 0.91))
    ]
    near = result("near", 0.5, p=0.01, backend="onnx", tau=1.0)
    rows = make_rows([*RESULTS, *rough, near], {})
    header, *lines = [
        [cell.strip() for cell in line.split("|")]
        for line in format_markdown(rows).splitlines()
        if "|" in line
    ]
    column = header.index("back-end")
    shown = {cells[1]: cells[column : column + 2] for cells in lines}
    assert shown["rough"] == ["torch_int8 fp32", "0.9100 fails"]
    assert shown["near"] == ["onnx fp32", "1.0000 passes"]
    assert shown["big"] == ["torch fp32", "–"]
    assert "torch_int8 fp32,0.91,False" in comma_separated(rows)


def test_a_record_that_lacks_a_fact_is_of_an_older_version(tmp_path):
    record = result("old", 0.4)
    del record["candidates"]
    write_json(tmp_path / "old" / "result.json", record)
    with pytest.raises(InputError, match="result.json must say 'candidates', got a record of an"):
        find_finished([tmp_path])
