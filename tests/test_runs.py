from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recross.errors import InputError
from recross.records import Cost
from recross.runs import Run, count_tied_queries


def test_ties_are_broken_by_doc_id_in_descending_order_as_in_trec_eval():
    run = Run.from_scores("toy", {"q1": {"d2": 1.0, "d1": 1.0, "d3": 2.0}})
    assert run.doc_ids("q1") == ["d3", "d2", "d1"]


def test_scores_that_differ_only_in_double_precision_are_ties():
    run = Run.from_scores("toy", {"q1": {"d1": 1.0 + 1e-12, "d2": 1.0}})
    assert run.doc_ids("q1") == ["d2", "d1"]
    assert count_tied_queries(run) == 1


def test_what_is_left_out_is_counted_and_nothing_else_changes():
    run = Run.from_scores("toy", {"q1": {"a": 2.0, "b": 1.0}, "q2": {"a": 1.0}, "q3": {"a": 1.0}})
    found = run.without({"q1": frozenset("ax"), "q2": frozenset("a"), "q9": frozenset("a")})
    assert [found.doc_ids(q) for q in ("q1", "q2", "q3")] == [["b"], [], ["a"]]
    assert found.without({"q3": frozenset("a")}).cut(5).left_out == 3
    assert list(found.rankings) == ["q1", "q2", "q3"]


def test_a_run_file_is_read_back_as_it_was_written(tmp_path):
    run = Run.from_scores("a run", {"q2": {"d1": 0.1, "d2": 1 / 3}, "q1": {"d3": -5.5}})
    run.write(tmp_path / "run.trec")
    again = Run.read(tmp_path / "run.trec")
    assert again.rankings == run.rankings
    first = (tmp_path / "run.trec").read_text().splitlines()[0].split()
    assert first[:4] == ["q2", "Q0", "d2", "1"]
    assert first[5] == "a_run"


def test_the_rank_column_is_not_trusted(tmp_path):
    (tmp_path / "run.trec").write_text("q1 Q0 d1 1 0.5 x\nq1 Q0 d2 2 0.9 x\n")
    assert Run.read(tmp_path / "run.trec").doc_ids("q1") == ["d2", "d1"]


def test_lines_that_stand_in_any_order_are_the_same_run(tmp_path):
    lines = [f"q{n % 7} Q0 d{n} 1 {n % 11 / 10} tag" for n in range(200)]
    grouped = sorted(lines, key=lambda line: line.split()[0])
    runs = []
    for name, order in (("mixed", lines), ("grouped", grouped)):
        (tmp_path / name).write_text("\n".join(order))
        runs.append(Run.read(tmp_path / name))
    assert runs[0].rankings == runs[1].rankings
    assert [*runs[0].rankings] == [f"q{n}" for n in range(7)]
    assert sum(map(len, runs[0].rankings.values())) == 200


def test_a_second_score_is_refused_wherever_it_stands_unless_single_precision_knows_no_other(
    tmp_path,
):
    first, other, again = "q1 Q0 d1 1 0.1 t", "q2 Q0 d1 1 7 t", "q1 Q0 d1 2 {} t"
    path = tmp_path / "run"
    for lines in ([first, again], [first, other, again], [first, other, first, other, again]):
        path.write_text("\n".join(lines).format("0.2"))
        with pytest.raises(InputError, match=r"run:\d: document 'd1' twice for 'q1', with the sco"):
            Run.read(path)
        path.write_text("\n".join(lines).format("0.1000000001"))
        assert [*Run.read(path).rankings["q1"]] == [("d1", np.float32(0.1))]


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "must hold at least one line"),
        ("q1 Q0 d1 1 0.5\n", "run.trec:1: expected 6 fields, got 5"),
        ("q1 Q0 d1 1 0.5 x\nq1 Q0 d2 2 high x\n", "run.trec:2: score must be a finite number"),
        (
            "q1 Q0 d1 1 0.5 x\nq1 Q0 d1 2 0.4 x\n",
            "run.trec:2: document 'd1' twice for 'q1'",
        ),
        ("q1 Q0 d1 1 nan x\n", "run.trec:1: score must be a finite number, got 'nan'"),
    ],
)
def test_a_bad_run_file_is_refused_with_its_line(tmp_path, text, message):
    (tmp_path / "run.trec").write_text(text)
    with pytest.raises(InputError, match=message):
        Run.read(tmp_path / "run.trec")


def test_a_missing_run_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"run file must exist, got '.*gone.trec'"):
        Run.read(tmp_path / "gone.trec")


def test_depth_must_be_positive():
    with pytest.raises(InputError, match="depth must be at least 1, got 0"):
        Run.from_scores("toy", {}).cut(0)


def test_restricting_keeps_queries_that_the_run_does_not_know_without_documents():
    run = Run.from_scores("toy", {"q1": {"d1": 1.0}}).restrict(["q9", "q1"])
    assert list(run.rankings) == ["q9", "q1"]
    assert run.rankings["q9"] == ()


def test_a_tail_follows_its_head_in_its_own_order():
    candidates = Run.from_scores("first", {"q1": {"a": 9, "b": 8, "c": 8, "d": 1}, "q2": {"e": 5}})
    head = Run.from_scores("second", {"q1": {"a": -2.0, "c": 3.0}}, Cost(pairs=2))
    whole = head.with_tail(candidates)
    assert whole.doc_ids("q1") == ["c", "a", "b", "d"]
    assert whole.rankings["q1"][:2] == head.rankings["q1"]
    assert -2.0 > whole.rankings["q1"][2].score > whole.rankings["q1"][3].score
    assert whole.rankings["q2"] == candidates.rankings["q2"]  # no head: as it was
    assert (whole.name, whole.cost.pairs) == ("second", 2)


single = st.floats(-(2.0**120), 2.0**120, width=32) | st.floats(-2, 2, width=32)
rankings = st.dictionaries(st.text("ab1", min_size=1, max_size=4), single, max_size=30)


@given(rankings, st.integers(0, 30), st.data())
def test_a_run_with_a_tail_is_ranked_as_head_then_tail_by_any_reader(scores, depth, data):
    candidates = Run.from_scores("first", {"q": scores})
    ids = candidates.doc_ids("q")
    fresh = data.draw(st.lists(single, min_size=len(ids[:depth]), max_size=len(ids[:depth])))
    head = Run.from_scores("second", {"q": dict(zip(ids[:depth], fresh, strict=True))})
    whole = head.with_tail(candidates)
    assert whole.doc_ids("q") == head.doc_ids("q") + ids[depth:]
    again = Run.from_scores("reader", {"q": dict(whole.rankings["q"])})
    assert again.rankings == whole.rankings
    below = [doc.score for doc in whole.rankings["q"]][max(len(ids[:depth]) - 1, 0) :]
    assert below == [float(np.float32(score)) for score in below]
    if fresh:
        assert all(upper > lower for upper, lower in pairwise(below))


@pytest.mark.parametrize("lowest", [0.0, -1e-30, 1.0, 2.0**24 + 2, -(2.0**24), 1e30, -1e37])
def test_a_tail_of_a_hundred_thousand_stays_in_order_at_any_magnitude(lowest):
    ids = [f"d{number}" for number in range(100_000)]
    candidates = Run.from_scores("first", {"q": {d: -float(n) for n, d in enumerate(ids)}})
    whole = Run.from_scores("second", {"q": {"d0": lowest}}).with_tail(candidates)
    scores = np.array([doc.score for doc in whole.rankings["q"]], dtype=np.float32)
    assert whole.doc_ids("q") == ids
    assert (np.diff(scores) < 0).all()


def test_a_head_of_strangers_and_a_head_at_the_end_of_the_scale_are_refused():
    candidates = Run.from_scores("first", {"q1": {"a": 2, "b": 1}})
    with pytest.raises(
        InputError, match="candidates only, each once; for 'q1' 1 ranked and 2 left"
    ):
        Run.from_scores("second", {"q1": {"x": 1}}).with_tail(candidates)
    with pytest.raises(InputError, match=r"scores must be at least -1e\+38 above a tail, got -3"):
        Run.from_scores("second", {"q1": {"a": -3e38}}).with_tail(candidates)
