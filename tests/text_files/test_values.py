import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recross.errors import InputError
from recross.text_files.values import (
    check_id,
    check_text,
    is_fit_id,
    make_fit,
    parse_decimal,
    parse_grade,
    split_fields,
)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_finite_number_is_read_as_python_writes_it(number):
    assert parse_decimal(repr(number)) == number
    assert parse_decimal(f"{number:+.17e}") == number


@given(st.text())
def test_a_text_is_no_number_or_one_of_ascii_digits(text):
    try:
        number = parse_decimal(text)
    except InputError:
        return
    assert math.isfinite(number)
    assert set(text) <= set("0123456789+-.eE")


@given(st.text(st.characters(exclude_categories=[]), max_size=6))
def test_a_name_is_made_fit_and_a_fit_one_stays(name):
    made = make_fit(name)
    assert made == "" or check_id(made) == made
    assert make_fit(made) == made
    assert is_fit_id(name) == (bool(name) and made == name)
    if is_fit_id(name):
        assert name.split() == [name]
        assert split_fields(f" {name}\t{name}  x") == [name, name, "x"]
    else:
        with pytest.raises(InputError):
            check_id(name)


def test_fields_are_apart_by_blanks_of_ascii_alone():
    assert split_fields("a\xa0b  c\td\u3000e ") == ["a\xa0b", "c", "d\u3000e"]
    assert split_fields("") == []


@given(st.integers())
def test_a_grade_is_a_whole_number_that_measures_are_computed_from(number):
    if -2 <= number <= 10_000:
        assert parse_grade(str(number)) == number
    else:
        with pytest.raises(InputError, match="must be a whole number"):
            parse_grade(str(number))


def test_half_a_character_is_no_text_and_a_whole_one_is():
    assert check_text("😀 é") == "😀 é"
    with pytest.raises(InputError, match=r"title must hold no lone surrogate, got 'a\\ud83d b'"):
        check_text("a\ud83d b", "title")
