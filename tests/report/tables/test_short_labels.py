"""Labels of a table say what varies, and not what all of its rows share."""

from recross.report.tables.short_labels import shorten_labels


def test_labels_lose_the_overrides_that_all_share_wherever_they_stand():
    labels = ["bm25.none.size=8.lr=0.1", "bm25.l2.size=8.lr=0.1, interpolated (0.30)"]
    assert shorten_labels(labels) == (
        ["bm25.none", "bm25.l2, interpolated (0.30)"],
        ["size=8", "lr=0.1"],
    )
    between = ["bm25.depth=10.size=8.lr=1", "bm25.depth=10.size=9.lr=1"]
    assert shorten_labels(between) == (["bm25.size=8", "bm25.size=9"], ["depth=10", "lr=1"])


def test_labels_that_share_nothing_or_would_be_the_same_are_kept():
    for labels in (["a.size=8", "b.size=9"], ["a lr=0.1", "b lr=3.1"], ["a.size=8"]):
        assert shorten_labels(labels) == (labels, [])
    same = ["a.size=8", "a.size=8, interpolated (0.10)"]  # one row in two forms
    assert shorten_labels(same).names == same


def test_paths_lose_the_folders_and_the_ending_that_all_have():
    assert shorten_labels(["runs/x/bm25.trec", "runs/y/mine.trec"]).names == ["x/bm25", "y/mine"]
    assert shorten_labels(["o/a/reranked.trec", "o/b/reranked.trec"]).names == ["a", "b"]
    assert shorten_labels(["o/a.trec", "o/b.run"]).names == ["a.trec", "b.run"]
    assert shorten_labels(["o/a.trec", "own name"]).names == ["o/a.trec", "own name"]
