"""Curves as comma-separated values, beside the JSON lines that the page draws."""

import csv
import json

from recross.command.building import build
from recross.command.composition import compose_values
from recross.tracking.comma_separated import CsvTracker


def test_every_value_is_a_line_and_a_new_run_begins_anew(tmp_path):
    for loss in (0.5, 0.25):
        log = CsvTracker().open(tmp_path, "s", "a", {})
        log.log(1, {"loss": loss, "dev nDCG@10, odd": 0.125})
        log.log(2, {"loss": loss / 2})
        log.finish({"measures": {"MRR@10": 1.0}})
    with (tmp_path / "curves.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows == [
        ["step", "name", "value"],
        ["1", "loss", "0.25"],
        ["1", "dev nDCG@10, odd", "0.125"],
        ["2", "loss", "0.125"],
    ]
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["event"] for line in lines] == ["start", "step", "step", "finish"]


def test_it_is_an_option():
    assert build(compose_values("run", ["tracking=csv"])).tracking == CsvTracker()
