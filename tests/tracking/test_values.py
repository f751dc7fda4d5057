"""Records as flat cells."""

from recross.tracking.values import flatten_cells


def test_cells_are_named_by_their_path_and_lists_have_none():
    record = {"a": {"b": 1, "c": {"d": None}}, "e": "text", "f": [1, 2], "g": True}
    assert flatten_cells(record) == {"a/b": 1, "a/c/d": None, "e": "text", "g": True}
