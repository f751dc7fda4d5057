import tracemalloc
from itertools import repeat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recross.errors import InputError
from recross.text_files import lines
from recross.text_files.lines import find_line, parse_lines, read_all_lines, read_lines, split_lines


def test_a_line_says_which_bytes_it_is_and_the_mark_is_none_of_them(tmp_path):
    content = "\ufeffé\r\n\nb\rc\u2028d\n \nlast".encode()
    (tmp_path / "a").write_bytes(content)
    found = list(read_all_lines(tmp_path / "a"))
    assert [line.text for line in found] == ["é", "", "b\rc\u2028d", " ", "last"]
    assert [line.number for line in read_lines(tmp_path / "a")] == [1, 3, 5]
    assert (found[0].start, found[-1].end) == (3, len(content))
    parts = [content[line.start : line.end] for line in found]
    assert b"".join(parts) == content[3:]
    assert parts[0] == "é\r\n".encode()


@given(st.text("ab\n\r\té\u2028", max_size=40), st.lists(st.integers(1, 7), min_size=1))
def test_lines_do_not_depend_on_the_pieces_in_which_their_bytes_come(text, sizes):
    content = text.encode()
    pieces, at = [], 0
    for size in sizes * (len(content) + 1):
        pieces.append(content[at : at + size])
        at += size
    found = list(split_lines(pieces, "a"))
    assert found == list(split_lines([content], "a"))
    assert [line.text for line in found] == [
        line.removesuffix("\r") for line in text.removesuffix("\n").split("\n") if text
    ]


def test_a_file_of_any_size_takes_the_memory_of_a_piece():
    pieces = repeat(b"a line of some words\n" * 5000, 40)  # four megabytes, each piece a tenth
    tracemalloc.start()
    count = sum(1 for _ in split_lines(pieces, "a"))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 200_000
    assert peak < 1_500_000


def test_a_file_without_line_breaks_is_refused_before_it_fills_the_memory(monkeypatch):
    monkeypatch.setattr(lines, "LONGEST_LINE", 1000)
    with pytest.raises(InputError, match="a:2: a line must be at most 1000 bytes, got more"):
        list(split_lines([b"short\n", *repeat(b"x" * 300, 100)], "a"))
    assert len(next(split_lines([b"x" * 1000, b"\nnext"], "a")).text) == 1000


def test_what_is_wrong_with_a_line_gets_its_place(tmp_path):
    def parse(text):
        if text == "bad":
            raise InputError("must be good")
        return text.upper()

    (tmp_path / "a").write_text("x\n\ny\nbad\n")
    found = parse_lines(tmp_path / "a", parse)
    assert [(line.number, parsed) for line, parsed in (next(found), next(found))] == [
        (1, "X"),
        (3, "Y"),
    ]
    with pytest.raises(InputError, match=r"/a:4: must be good$"):
        next(found)
    assert find_line(tmp_path / "a", parse, lambda parsed: parsed == "Y") == 3
