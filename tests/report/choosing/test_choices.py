"""Which of the measured choices nothing beats, and which one is advised."""

import csv
import io
import json
import re

import pytest

from recross.errors import InputError
from recross.report.choosing.choice_files import FRONT, write_choices
from recross.report.choosing.choices import mark_front, read_choices


def measured(depth, quality, p95, p_value=0.01):
    return {
        "depth": depth,
        "measures": {"MRR@10": quality, "nDCG@10": quality + 0.01},
        "intervals": {"MRR@10": [quality - 0.1, quality + 0.1]},
        "p_values": {"MRR@10": p_value},
        **{"p50_ms": p95 / 2, "p95_ms": p95, "p99_ms": p95 * 1.1},
        **{"pairs_per_second": 100.0, "queries_per_second": 10.0},
    }


def record(name, *depths, within=50.0, **more):
    return {
        **{"name": name, "words": [f"reranker={name}", "hardware=cpu", "collection=files"]},
        **{"collection": "mine", "candidates": "first.trec", "queries": 30, "within_ms": within},
        **{"backend": "torch", "precision": "fp32", "load_seconds": 1.0, "size_mb": 62.5},
        **{"peak_memory_mb": 700.0, "peak_gpu_memory_mb": None, "depths": list(depths)},
        "first_stage": {
            "measures": {"MRR@10": 0.4, "nDCG@10": 0.41},
            "intervals": {"MRR@10": [0.3, 0.5]},
        },
        "environment": {"processor": "A processor", "torch_threads": 2},
        **more,
    }


@pytest.fixture
def keep(tmp_path):
    def write(*records):
        paths = []
        for one in records:
            path = tmp_path / str(len(paths)) / "choice.json"
            path.parent.mkdir(exist_ok=True)
            path.write_text(json.dumps(one))
            paths.append(path)
        return paths

    return write


SMALL = record("small", measured(10, 0.50, 20.0), measured(50, 0.45, 45.0))
LARGE = record("large", measured(10, 0.55, 48.0), measured(50, 0.70, 200.0))


def test_the_front_is_what_is_better_than_all_that_is_faster(keep):
    rows = read_choices(keep(SMALL, LARGE)).rows
    assert [(row.name, row.depth, row.is_on_front) for row in rows] == [
        ("candidates as they are", 0, True),
        ("small", 10, True),
        ("small", 50, False),
        ("large", 10, True),
        ("large", 50, True),
    ]
    assert mark_front(rows[::-1]) == list(rows)  # whatever the order


def test_a_slow_choice_is_told_in_whole_milliseconds(keep):
    slow = record("slow", measured(10, 0.55, 4_750.4))
    (study,) = [read_choices(keep({**slow, "within_ms": 5_000.0}))]
    assert study.advice.startswith("Within 5000 ms use slow")
    assert study.advice.endswith("95 of 100 queries done in 4,750 ms.")


def test_the_best_within_the_time_is_advised_with_the_command_that_uses_it(keep):
    study = read_choices(keep(SMALL, LARGE))
    assert study.advice == (
        "Within 50 ms use large on the best 10 candidates: MRR@10 0.5500 against 0.4000 without it,"
        " 95 of 100 queries done in 48.0 ms."
    )
    assert study.command == (
        "recross rerank reranker=large hardware=cpu collection=files depth=10 candidates=first.trec"
    )


def test_without_a_limit_the_best_of_all_is_advised(keep):
    study = read_choices(keep(SMALL | {"within_ms": None}, LARGE))
    assert (study.advised.name, study.advised.depth) == ("large", 50)


def test_of_equal_ones_the_faster_is_advised(keep):
    twin = record("twin", measured(10, 0.55, 30.0))
    assert read_choices(keep(LARGE, twin)).advised.name == "twin"


def test_candidates_are_left_as_they_are_where_nothing_is_better(keep):
    study = read_choices(keep(record("worse", measured(10, 0.39, 10.0))))
    assert study.advised.depth == 0
    assert study.command is None
    assert "nothing that was measured is better" in study.advice


def test_a_difference_that_may_be_chance_is_called_so(keep):
    study = read_choices(keep(record("new", measured(10, 0.42, 10.0, p_value=0.3))))
    assert "which may be chance" in study.advice


def test_other_candidates_are_not_compared(keep):
    with pytest.raises(InputError, match="choices must be of the same candidates, got"):
        read_choices(keep(SMALL, LARGE | {"candidates": "second.trec"}))


def test_table_csv_plot_and_page_say_the_same(keep, tmp_path, capsys):
    odd = record("<b>|odd</b>", measured(10, 0.60, 30.0))
    paths = write_choices(keep(SMALL, LARGE, odd), tmp_path)
    assert [path.name for path in paths] == [
        *("choices.md", "choices.csv", "choices.png", "choices.svg", "choices.html")
    ]
    table = (tmp_path / "choices.md").read_text()
    assert capsys.readouterr().out == table
    fronts = [line for line in table.splitlines() if line.startswith(f"| {FRONT}")]
    lines = list(csv.DictReader(io.StringIO((tmp_path / "choices.csv").read_text())))
    assert len(fronts) == sum(line["on_front"] == "True" for line in lines) == 4
    (advised,) = [line for line in lines if line["advised"] == "True"]
    assert (advised["name"], float(advised["p95_ms"])) == ("<b>|odd</b>", 30.0)
    page = (tmp_path / "choices.html").read_text()
    assert "<b>|odd" not in page
    assert "&lt;b&gt;|odd&lt;/b&gt; on the best 10 candidates" in page
    assert page.count("<tr") == len(lines) + 1
    assert "<script" not in page
    assert "default-src 'none'" in page


def test_the_page_shows_depth_and_measures_before_the_form_and_breaks_long_names(keep, tmp_path):
    write_choices(keep(record("long_name.cpu_int8", measured(10, 0.60, 30.0))), tmp_path)
    page = (tmp_path / "choices.html").read_text()
    names = re.findall(r"<th>(.*?)</th>", page)
    assert names[:4] == ["", "re-ranker and hardware", "depth", "MRR@10"]
    assert names[-1] == "form"
    assert "<td>long_<wbr>name.<wbr>cpu_<wbr>int8</td><td>10</td><td>0.6000 <small>[" in page


def test_the_plot_says_what_each_line_is(keep, tmp_path):
    write_choices(keep(SMALL, LARGE), tmp_path)
    svg = (tmp_path / "choices.svg").read_text()
    for name in ("small", "large", "advised", "50 ms, the most that a query may take"):
        assert f">{name}</text>" in svg


def test_memory_of_a_gpu_has_a_column_where_one_was_measured(keep, tmp_path):
    def read_column(*records):
        write_choices(keep(*records), tmp_path)
        head, _, *rows = (tmp_path / "choices.md").read_text().splitlines()
        names = [name.strip() for name in head.split("|")]
        if "GPU MB" not in names:
            return None
        place = names.index("GPU MB")
        cells = [row.split("|") for row in rows if row.startswith("|")]
        return {row[2].strip(): row[place].strip() for row in cells}

    assert read_column(SMALL) is None
    shown = read_column(SMALL, LARGE | {"peak_gpu_memory_mb": 1234.0})
    assert (shown["small"], shown["large"]) == ("–", "1,234")
