"""The learning-rate range test: its rates, its advice, and that it leaves no trace."""

import numpy as np
import pytest
import torch

from recross.errors import InputError
from recross.inference.session import Session
from recross.machine.hardware import Hardware
from recross.rerankers.cross_encoder import CrossEncoder
from recross.training.callbacks.range_search import find_steepest, smooth
from recross.training.data.phases import Phase
from recross.training.fit import fit
from recross.training.losses.listwise import Listwise
from recross.training.recipe import RangeSearch, TrainingPlan
from tests.conftest import save_tiny
from tests.training.test_training import collection, groups, validation  # noqa: F401


def test_the_rate_rises_by_one_factor_from_the_lowest_to_the_highest():
    search = RangeSearch(steps=5, validations=1, lowest_rate=1e-6, learning_rate=1e-2)
    rates = [search.learning_rate * search.optimisation.rate(step) for step in range(5)]
    assert rates == pytest.approx([1e-6, 1e-5, 1e-4, 1e-3, 1e-2])
    with pytest.raises(InputError, match=r"lowest_rate must lie in \(0, learning_rate=0.01\)"):
        RangeSearch(steps=5, validations=1, lowest_rate=0.1, learning_rate=0.01)


def test_smoothing_begins_at_the_first_loss_and_weighs_a_tenth_of_each():
    assert smooth([2.0, 1.0]) == pytest.approx([2.0, (0.9 * 0.2 + 0.1) / 0.19])
    assert smooth([3.0] * 4) == pytest.approx([3.0] * 4)


def test_advice_is_where_the_loss_falls_most_steeply():
    rates = np.geomspace(1e-6, 1e-1, 101)
    losses = 2.0 - 1.5 / (1 + (1e-4 / rates) ** 2) + 40 * np.maximum(rates - 1e-2, 0)
    found = find_steepest(losses.tolist(), rates.tolist())
    # steepest at 1e-4; the mean of ten losses lags by some eight of these steps
    assert 1e-4 <= found < 3e-4
    assert find_steepest([2.0, 1.0], [1e-4, 1e-3]) is None


def searched(tmp_path, collection, groups, **settings):  # noqa: F811
    reranker = CrossEncoder(str(save_tiny(tmp_path / "source")), max_length=24)
    before = {name: value.clone() for name, value in reranker.network.state_dict().items()}
    search = RangeSearch(batch_size=8, validations=1, dropout=0.0, **settings)
    recipe, dev = TrainingPlan(Listwise(), search), validation(collection)
    session, folder = Session(Hardware()), tmp_path / "out"
    took = fit(reranker, [Phase("all", groups)], recipe, session, dev, folder)
    after = reranker.trained(tmp_path / "out").network.state_dict()
    return took, all(torch.equal(value, after[name]) for name, value in before.items())


def test_a_search_advises_and_leaves_the_weights_as_they_were(tmp_path, collection, groups):  # noqa: F811
    took, unchanged = searched(tmp_path, collection, groups, steps=60, learning_rate=100.0)
    assert unchanged
    assert took["tried"][0] == pytest.approx(1e-6)
    assert 1e-4 < took["suggested_learning_rate"] < 1.0  # a tiny network learns with some 3e-3
    assert took["best dev MRR@10"] is None
    assert not list((tmp_path / "out").glob("*.pt"))


def test_a_search_ends_where_the_loss_diverges(tmp_path, collection, groups):  # noqa: F811
    took, unchanged = searched(
        tmp_path, collection, groups, steps=60, lowest_rate=1.0, learning_rate=1e6
    )
    assert unchanged
    assert took["steps"] < 60
