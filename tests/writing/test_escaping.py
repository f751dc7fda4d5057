"""What is escaped is the text again for who reads the format; what needs no escape stays."""

from hypothesis import given
from hypothesis import strategies as st

from recross.writing.escaping import (
    escape_latex,
    escape_markdown,
    format_code,
    format_code_block,
    format_csv_line,
    guard_formula,
    read_guarded,
    show_unprintable,
)
from tests.odd_inputs.format_readers import (
    read_csv_cells,
    read_latex_row,
    read_markdown,
    split_markdown_row,
)

SIGNS = st.text(st.sampled_from("ab1 \\`*_{}[]()#+-.!|$%&^~<>\"';,=@/?–\t\n\r\u202e\x1b文"))


@given(SIGNS)
def test_any_text_is_itself_in_a_cell_of_markdown(text):
    (cell,) = split_markdown_row(f"| {escape_markdown(text)} |")
    assert read_markdown(cell) == show_unprintable(text).strip(" ")


@given(SIGNS)
def test_any_text_is_itself_in_a_row_of_latex(text):
    assert read_latex_row(f"{escape_latex(text)} & x \\\\") == [show_unprintable(text), "x"]


@given(st.lists(SIGNS, min_size=2))
def test_any_texts_are_themselves_in_a_line_of_csv(texts):
    (cells,) = read_csv_cells(format_csv_line(texts))
    assert [read_guarded(cell) for cell in cells] == texts


@given(SIGNS)
def test_a_guard_is_taken_off_again(text):
    assert read_guarded(guard_formula(text)) == text


@given(SIGNS)
def test_any_text_is_itself_as_code(text):
    code = format_code(text)
    fence = code[: len(code) - len(code.lstrip("`"))]
    inner = code.removeprefix(fence).removesuffix(fence)
    assert fence not in inner
    assert show_unprintable(text) in inner


def test_a_block_of_code_ends_where_it_ends():
    assert format_code_block("a\n```\nb") == "````\na\n```\nb\n````"


def test_names_that_are_common_stay_readable():
    for name in ("cross_encoder minilm-l6", "BM25 k1=0.9 (0.60)", "R&D", "depth < 5", "a/b~c"):
        assert escape_markdown(name).replace("\\~", "~") == name
    assert escape_markdown("0.5000▲ ± 0.01 [0.450, 0.650]") == "0.5000▲ ± 0.01 [0.450, 0.650]"


def test_numbers_and_gaps_are_written_as_numbers_and_gaps():
    assert format_csv_line(["a", None, 0.1, -2, True, 1e-07]) == "a,,0.1,-2,True,1e-07\n"
