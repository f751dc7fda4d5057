"""Plots show any label as the text that it is."""

import re

import pytest
from matplotlib.figure import Figure

from recross.report.figures import LONGEST_LABEL
from recross.report.plots import plot_curves, plot_quality_latency
from recross.report.tables.rows import make_rows
from tests.odd_inputs.labels import LABELS
from tests.small_study import AFTER, BEFORE, record


@pytest.fixture
def legends(monkeypatch):
    """The legends of the figures that are saved."""
    seen = []
    save = Figure.savefig

    def look(figure, *arguments, **more):
        seen.append([text.get_text() for text in figure.legends[0].get_texts()])
        save(figure, *arguments, **more)

    monkeypatch.setattr(Figure, "savefig", look)
    return seen


def test_every_label_is_in_the_legend_as_text(tmp_path, legends):
    rows = make_rows([record(label, AFTER, BEFORE) for label in LABELS.values()], {})
    png, svg = plot_quality_latency(rows, tmp_path)
    assert png.read_bytes().startswith(b"\x89PNG")
    assert "</svg>" in svg.read_text()
    shown = legends[0]
    assert len(shown) == len(LABELS)
    for label in ("$x_1$ and $y$", "_nolegend_", "a|b", "\\input{/etc/passwd}"):
        assert label in shown
    assert "a\\nb" in shown
    assert max(len(line) for text in shown for line in text.split("\n")) <= LONGEST_LABEL
    assert not re.search("<script", svg.read_text())


def test_a_long_label_keeps_its_end_and_its_mark(tmp_path, legends):
    label = "bi-encoder + embedded_reranker (shipped), interpolated (0.85)"
    found = {**record(label, AFTER, BEFORE), "p_values": {"MRR@10": 0.001}}
    plot_quality_latency(make_rows([found], {}), tmp_path)
    assert legends[0] == ["bi-encoder + embedded_reranker (shipped), interpolated\n(0.85) ▲"]


def test_latencies_are_written_as_numbers(tmp_path):
    times = {"fast": 90.0, "slow": 1_200_000.0}
    found = [record(label, AFTER, BEFORE, latency=p50) for label, p50 in times.items()]
    rows = make_rows(found, {})
    _, svg = plot_quality_latency(rows, tmp_path)
    assert {"100", "10,000", "1,000,000"} <= set(re.findall(r">([\d,]+)</text>", svg.read_text()))


def test_curves_with_odd_names_are_in_the_legend(tmp_path, legends):
    records = []
    for curve in ("_hidden", "$broken_{", "重排序"):
        for depth in (10, 20):
            point = record(f"{curve} {depth}", AFTER, BEFORE)
            records.append({**point, "curve": curve, "depth": depth})
    plot_curves(make_rows(records, {}), tmp_path)
    assert sorted(legends[0]) == sorted(["_hidden", "$broken_{", "重排序"])


def test_the_places_of_a_curve_are_written_as_numbers(tmp_path):
    records = [
        {**record(f"at {depth}", AFTER, BEFORE), "curve": "ours", "depth": depth}
        for depth in (10, 1000)
    ]
    _, svg = plot_curves(make_rows(records, {}), tmp_path)
    assert {"10", "1,000"} <= set(re.findall(r">([\d,]+)</text>", svg.read_text()))
