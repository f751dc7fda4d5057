"""Words of a command line that Hydra's grammar does not read are quoted, and mean themselves."""

import pytest

from recross.command.overrides import parse_overrides, quote_override
from recross.errors import ConfigError


@pytest.mark.parametrize(
    "word, value",
    [
        ("candidates=läufe.trec", "läufe.trec"),
        ("candidates=läufe (2).trec", "läufe (2).trec"),
        ("candidates=data(old).trec", "data(old).trec"),
        ("candidates=日本/語.trec", "日本/語.trec"),
        ("candidates=a b.trec", "a b.trec"),
        ("candidates=#1.trec", "#1.trec"),
        ("candidates=a;b&c.trec", "a;b&c.trec"),
        ("candidates=50%.trec", "50%.trec"),
        ("candidates=seed=0/x.trec", "seed=0/x.trec"),
        ("depth=10", 10),
        ("label=", ""),
        ("label=null", None),
        ("measures=[MRR@10,nDCG@10]", ["MRR@10", "nDCG@10"]),
    ],
)
def test_a_value_is_read_as_it_stands(word, value):
    (override,) = parse_overrides([quote_override(word)])
    assert override.value() == value


def test_of_several_values_those_are_quoted_that_need_it():
    assert quote_override("a=1,ü") == 'a=1,"ü"'
    (override,) = parse_overrides([quote_override("a=1,ü")])
    assert list(override.sweep_string_iterator()) == ["1", '"ü"']


@pytest.mark.parametrize("word", ["depth", "=5", "a=[", "a={b:", "measures=[ü]", "a='x", "~"])
def test_what_is_no_override_is_one_error_with_the_word(word):
    with pytest.raises(ConfigError) as raised:
        parse_overrides([quote_override(word)])
    assert str(raised.value).startswith("override must be key=value as Hydra reads it")
    assert repr(word) in str(raised.value)


def test_an_error_shows_no_secret():
    with pytest.raises(ConfigError) as raised:
        parse_overrides(["a=[sk-proj-AbCdEfGhIjKlMnOpQrStUv0123456789"])
    assert "AbCd" not in str(raised.value)
