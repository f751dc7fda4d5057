"""What a search varies, as Hydra's overrides say it."""

import importlib.util

import pytest

from recross.command.search_space import SearchSpace, round_value
from recross.errors import ConfigError

WORDS = ["a=1", "rate=tag(log,interval(1e-5,1e-3))", "loss=x,y,z", "n=range(1,8,2)", "a=2"]


def test_edges_have_each_choice_and_both_ends_of_each_interval():
    space = SearchSpace.read(WORDS)
    assert space.fixed == ["a=2"]  # of a key given twice, the last word counts
    assert list(space.list_edges()) == [
        ["a=2", "rate=1e-05", "loss=x", "n=1"],
        ["a=2", "rate=0.001", "loss=y", "n=3"],
        ["a=2", "rate=0.001", "loss=z", "n=5"],
        ["a=2", "rate=0.001", "loss=z", "n=7"],
    ]


@pytest.mark.skipif(not importlib.util.find_spec("optuna"), reason="needs extra optuna")
def test_intervals_ranges_and_choices_are_what_optuna_draws_from():
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    words = [*WORDS, "layers=int(interval(2,6))", "b=choice(true,false)", "f=range(0,1,0.5)"]
    assert SearchSpace.read(words).list_distributions() == {
        "rate": FloatDistribution(1e-5, 1e-3, log=True),
        "loss": CategoricalDistribution(["x", "y", "z"]),
        "n": IntDistribution(1, 7, step=2),
        "layers": IntDistribution(2, 6),
        "b": CategoricalDistribution(["True", "False"]),
        "f": CategoricalDistribution(["0.0", "0.5"]),
    }


def test_numbers_are_tried_with_four_digits():
    values = {"rate": 0.000123456789, "n": 3, "loss": "x"}
    assert SearchSpace.read(WORDS).write_trial(values) == ["a=2", "rate=0.0001235", "n=3", "loss=x"]
    assert round_value(123456.0) == 123500.0


def test_a_search_that_varies_nothing_is_refused():
    with pytest.raises(ConfigError, match=r"needs something to vary, such as training\.learn"):
        SearchSpace.read(["a=1"])
