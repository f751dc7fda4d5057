import json
import re
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path

import pytest

from recross.experiment.texts import choose_texts, cut_snippet, sample_queries
from recross.report.finished import find_finished
from recross.report.page.exploration import explore, find_systems, outcome, read_texts
from recross.report.page.page import SCRIPTS, collect_page, embed_json, render
from recross.report.page.page_data import thin
from recross.report.page.page_table import FIGURE_SPACE, POINT_SPACE
from recross.report.tables.rows import make_rows
from recross.runs import Run
from recross.store import write_json
from tests.small_study import (
    AFTER,
    BEFORE,
    FIRST,
    HOSTILE,
    STEPS,
    TEXTS,
    page_of,
    record,
    write_experiment,
    write_study,
)


class Parts(HTMLParser):
    """The scripts of a page, as a browser cuts them, and every address that it names."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.scripts, self.addresses, self.open = [], [], [], None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.addresses += [value for name, value in attrs if name in ("src", "href")]
        if tag == "script":
            self.scripts.append("")
            self.open = tag

    def handle_endtag(self, tag):
        self.open = None

    def handle_data(self, data):
        if self.open:
            self.scripts[-1] += data


def data_of(folder, **more):
    finished = find_finished([folder])
    return collect_page(make_rows([one.record for one in finished], {}), finished, **more)


@pytest.fixture
def data(tmp_path):
    return data_of(write_study(tmp_path))


def system(data, label):
    labels = [one["label"] for one in data["exploration"]["systems"]]
    return labels.index(label)


def test_wins_ties_and_losses_are_counted_over_the_queries_that_both_have():
    assert outcome(BEFORE, AFTER) == (2, 1, 1)
    assert outcome(AFTER, BEFORE) == (1, 1, 2)
    assert outcome({"q1": 0.5, "elsewhere": 1.0}, {"q1": 0.5 + 1e-9}) == (0, 1, 0)


def test_the_page_holds_outcomes_of_every_pair(data):
    first, quick, slow = (system(data, label) for label in ("first", "quick", "slow"))
    outcomes = data["exploration"]["outcomes"]
    assert outcomes[first][quick] == (2, 1, 1)
    assert outcomes[quick][first] == (1, 1, 2)
    assert outcomes[first][slow] == (0, 4, 0)
    assert data["exploration"]["first_stages"][quick] == first


def test_ranks_reach_below_the_documents_shown(data):
    (group,) = data["exploration"]["groups"]
    at = [query["id"] for query in group["queries"]].index("q1")
    documents = group["queries"][at]["documents"]
    assert sorted(documents) == sorted([*(f"d{n}" for n in range(1, 11)), "d12"])
    first, quick = (
        data["exploration"]["systems"][system(data, name)]["rankings"][at]
        for name in ("first", "quick")
    )
    ranks = {doc: (first["ranks"][n], quick["ranks"][n]) for n, doc in enumerate(documents)}
    assert ranks["d12"] == (12, 1)
    assert ranks["d1"] == (1, 2)
    assert ranks["d10"] == (10, 11)
    assert quick["scores"] == [100.0 - n for n in range(10)]


def test_a_relevant_document_that_nobody_ranked_is_kept_with_rank_0(data):
    (group,) = data["exploration"]["groups"]
    query = next(query for query in group["queries"] if query["id"] == "q3")
    at = group["queries"].index(query)
    quick = data["exploration"]["systems"][system(data, "quick")]
    assert quick["rankings"][at]["ranks"][query["documents"].index("lost")] == 0


def test_texts_cannot_end_the_script_that_holds_them(tmp_path):
    text = page_of(write_study(tmp_path)).read_text(encoding="utf-8")
    parts = Parts(text)
    assert len(parts.scripts) == 2
    assert "img" not in parts.tags
    (group,) = json.loads(parts.scripts[0])["exploration"]["groups"]
    assert group["texts"]["d12"] == HOSTILE
    assert {query["id"]: query["text"] for query in group["queries"]} == TEXTS["queries"]


def test_names_of_studies_are_escaped_where_they_are_html(tmp_path):
    found = {**record('"><b>', AFTER, BEFORE), "study": "<b>&"}
    write_json(tmp_path / "x" / "result.json", found)
    text = page_of(tmp_path).read_text(encoding="utf-8")
    assert "<title>&lt;b>&amp; – recross</title>" in text
    assert "b" not in Parts(text).tags


def test_the_page_asks_nobody_for_anything(tmp_path):
    text = page_of(write_study(tmp_path)).read_text(encoding="utf-8")
    assert all(address == "data:," or address.startswith("#") for address in Parts(text).addresses)
    assert set(re.findall(r"https?://[^\s\"']+", text)) <= {"http://www.w3.org/2000/svg"}
    assert "default-src 'none'" in text


def test_scripts_write_texts_never_html():
    parts = files("recross.report.page") / "parts"
    written = "".join((parts / f"{name}.js").read_text() for name in SCRIPTS)
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", written)
    assert {path.name for path in parts.iterdir()} == {
        *(f"{name}.js" for name in SCRIPTS),
        *("page.css", "page.html"),
    }


def test_a_page_that_would_grow_too_large_explores_fewer_queries(tmp_path):
    queries = {f"q{number}": 0.5 for number in range(160)}
    texts = {"queries": dict.fromkeys(queries, "x" * 300), "relevant": {}, "documents": {}}
    for label in ("one", "two"):
        write_json(tmp_path / label / "result.json", record(label, queries, queries))
        part = {"per_query": {"MRR@10": queries}}
        write_json(tmp_path / label / "measures.json", {"reranked": part, "first_stage": part})
        write_json(tmp_path / label / "texts.json", texts)
    (whole,) = data_of(tmp_path)["exploration"]["groups"]
    assert len(whole["queries"]) == 160
    small = data_of(tmp_path, limit_bytes=30_000)
    assert len(embed_json(small)) < 30_000
    (group,) = small["exploration"]["groups"]
    assert [query["id"] for query in group["queries"]] == sample_queries(queries, 50)
    assert group["judged"] == 160
    assert small["exploration"]["outcomes"][0][1] == (0, 160, 0)


def test_a_smaller_sample_is_part_of_a_larger_one_in_any_order():
    names = [f"query {number}" for number in range(500)]
    assert sample_queries(names, 20) == sample_queries(reversed(names), 200)[:20]
    assert len(sample_queries(names)) == 200


def test_folders_of_older_versions_show_identifiers(tmp_path):
    data = data_of(write_study(tmp_path, texts=None))
    (group,) = data["exploration"]["groups"]
    assert {(query["text"], query["relevant"]) for query in group["queries"]} == {(None, None)}
    assert group["texts"] == {}
    assert data["exploration"]["systems"][0]["rankings"]


def test_a_folder_with_its_record_alone_still_makes_a_page(tmp_path):
    write_json(tmp_path / "x" / "result.json", record("x", AFTER, BEFORE))
    data = data_of(tmp_path)
    assert data["exploration"]["systems"] == []
    assert data["curves"] == []
    assert data["environment"]["missing"] == 1
    assert data["commands"] == []
    assert "<main>" in render(data)


def test_a_system_whose_run_is_gone_keeps_its_values(tmp_path):
    write_study(tmp_path)
    (tmp_path / "quick" / "reranked.trec").unlink()
    data = data_of(tmp_path)
    quick = data["exploration"]["systems"][system(data, "quick")]
    assert quick["rankings"] is None
    assert sorted(quick["values"]) == [0.0, 0.5, 1.0, 1.0]


def test_a_first_stage_that_was_not_run_alone_is_named_by_its_retriever(tmp_path):
    write_study(tmp_path)
    (tmp_path / "first" / "result.json").unlink()
    finished = find_finished([tmp_path])
    labels = [one.label for one in find_systems(finished, ["slow", "quick"])]
    assert labels == ["first stage: BM25 k1=0.9 b=0.4 top 12", "slow", "quick"]


def test_of_several_seeds_the_first_is_explored_and_named(tmp_path):
    write_study(tmp_path)
    again = {**record("quick", BEFORE, BEFORE), "seed": 1}
    write_json(tmp_path / "quick_again" / "result.json", again)
    part = {"per_query": {"MRR@10": BEFORE}}
    write_json(tmp_path / "quick_again" / "measures.json", {"reranked": part, "first_stage": part})
    systems = {one.label: one for one in find_systems(find_finished([tmp_path]), [])}
    assert set(systems) == {"first", "quick, seed 0", "slow"}
    assert systems["quick, seed 0"].values == AFTER


def test_systems_of_two_collections_are_not_compared(tmp_path):
    write_study(tmp_path)
    other = {**record("other", {"q1": 0.0}, {"q1": 0.0}), "collection": {"class": "Other"}}
    write_json(tmp_path / "other" / "result.json", other)
    part = {"per_query": {"MRR@10": {"q1": 0.0}}}
    write_json(tmp_path / "other" / "measures.json", {"reranked": part, "first_stage": part})
    finished = find_finished([tmp_path])
    explored = explore(find_systems(finished, ["first", "other"]), read_texts(finished))
    groups = {one["label"]: one["group"] for one in explored["systems"]}
    assert groups["first"] == groups["quick"] != groups["other"]
    texts = [{query["text"] for query in group["queries"]} for group in explored["groups"]]
    assert texts[groups["other"]] == {None}


def test_cells_sort_by_their_numbers(data):
    table = data["table"]
    names = [column["name"] for column in table["columns"]]
    p50 = names.index("p50")
    assert table["columns"][p50]["unit"] == "ms/100"
    blank = POINT_SPACE + FIGURE_SPACE  # in place of ".0"
    assert {row[0][0]: row[p50] for row in table["rows"]} == {
        "first": ["12.0", 12.0],
        "quick": ["2,000" + blank, 2000.0],
        "slow": ["10,000" + blank, 10000.0],
    }
    measure = {row[0][0]: row[names.index("MRR@10")][:2] for row in table["rows"]}
    assert measure["quick"] == ["0.6250", 0.625]
    assert not table["columns"][0]["numeric"]
    size = [row[names.index("size")] for row in table["rows"] if row[0][0] == "first"]
    assert size == [["–", None]]


def test_points_are_latency_quality_and_size(data):
    points = {point["label"]: point for point in data["points"]}
    assert (points["slow"]["latency"], points["slow"]["size_mb"]) == (10000.0, 90.0)
    assert points["first"]["latency"] == 12.0
    assert [points[name]["kind"] for name in ("first", "quick")] == ["first stage", "re-ranker"]


def test_curves_are_those_of_the_log_and_a_loss_that_is_no_number_is_null(data):
    (curve,) = json.loads(embed_json(data))["curves"]
    assert curve["label"] == "quick"
    assert curve["loss"] == [[1, 2.0], [2, 1.0], [3, None]]
    assert curve["dev"] == {"dev MRR@10": [[2, 0.5], [3, 0.25]]}
    assert curve["best_step"] == 2


def test_the_training_of_the_best_row_is_shown_first(tmp_path):
    write_study(tmp_path)
    for name, mean in (("weak", 0.1), ("mixed", 0.2)):
        found = record(name, {"q1": mean}, BEFORE)
        if name == "mixed":
            found["interpolation"] = {**found, "measures": {"MRR@10": 0.9}, "weight": 0.5}
        write_experiment(tmp_path / name, found, AFTER, BEFORE, (FIRST, FIRST), steps=STEPS)
    labels = [curve["label"] for curve in data_of(tmp_path)["curves"]]
    assert labels == ["mixed", "quick", "weak"]


def test_long_losses_are_thinned_to_means():
    points = [(step, float(step)) for step in range(1, 8)]
    assert thin(points, 3) == [(3, 2.0), (6, 5.0), (7, 7.0)]
    assert thin(points, 7) == points
    assert thin([], 3) == []


def test_what_differs_between_machines_stands_apart(data):
    environment = data["environment"]
    assert ["torch", "2.13"] in environment["shared"]
    assert ["wandb", "–"] in environment["shared"]
    assert ["git dirty", "no"] in environment["shared"]
    assert environment["columns"] == ["experiment", "precision"]
    assert sorted(environment["own"]) == [["quick, seed 0", "fp32"], ["slow, seed 0", "bf16"]]
    assert environment["missing"] == 1


def test_commands_can_be_pasted_into_a_shell(data):
    commands = {part["command"]: part["experiments"] for part in data["commands"]}
    names = {command: [name.split(": ")[0] for name in made] for command, made in commands.items()}
    assert names == {
        "recross run seed=0 'a b'": ["quick, seed 0"],
        "recross run seed=1": ["slow, seed 0"],
    }
    folders = [Path(name.split(": ")[1]) for made in commands.values() for name in made]
    assert all((folder / "environment.json").is_file() for folder in folders)


def test_snippets_are_one_line_cut_and_writable():
    assert cut_snippet("a\n  b\tc") == "a b c"
    assert cut_snippet("x" * 200) == "x" * 159 + "…"
    assert cut_snippet("half \ud800").encode() == b"half ?"


def test_texts_are_those_of_the_top_ten_and_of_what_is_relevant(collection):
    doc_ids = [f"d{number}" for number in range(20, 35)]
    run = Run.from_scores("r", {"q0": {d: -float(n) for n, d in enumerate(doc_ids)}})
    texts = choose_texts([run], collection, "test")
    assert set(texts["queries"]) == set(collection.query_ids("test"))
    assert texts["queries"]["q0"] == "red cat"
    assert texts["relevant"]["q0"] == ["d0"]
    relevant = {doc_id for doc_ids in texts["relevant"].values() for doc_id in doc_ids}
    assert set(texts["documents"]) == {*doc_ids[:10], *relevant}
    assert texts["documents"]["d0"] == "here lives a red cat"


def test_a_run_is_read_for_some_queries_alone(tmp_path):
    Run.from_scores("r", {"q1": {"a": 1.0}, "q10": {"b": 2.0}}).write(tmp_path / "r.trec")
    assert list(Run.read(tmp_path / "r.trec", ["q1"]).rankings) == ["q1"]
    assert Run.read(tmp_path / "r.trec", ["q2"]).rankings == {}
