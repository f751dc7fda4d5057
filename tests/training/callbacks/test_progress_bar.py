"""The bar of a training counts steps, from where an interrupted one stopped, and ends with it."""

from types import SimpleNamespace

import pytest

from recross.training.callbacks.progress_bar import ProgressBar
from recross.training.progress import Progress
from recross.writing import progress as writing


def training_at(step, is_first=True):
    return SimpleNamespace(
        progress=Progress(step=step),
        processes=SimpleNamespace(is_first=is_first),
        training_plan=SimpleNamespace(training=SimpleNamespace(steps=10)),
    )


def test_steps_are_counted_from_those_of_an_interrupted_training_beside_the_last_loss():
    module = training_at(4)
    bar = ProgressBar(module)
    bar.on_train_start()
    (shown,) = writing._reporter._bars
    assert shown.counts == "4 of 10 steps"
    module.progress.count(pairs=1, tokens=1)
    module.progress.curves += [(4, {"loss": 0.75}), (5, {"dev MRR@10": 0.5})]
    bar.on_train_batch_end()
    assert shown.counts == "5 of 10 steps"
    assert shown.tell_time(shown.began + 2).endswith("0:10 left, 0.5 steps/s, loss 0.7500")
    bar.on_train_end()
    assert not writing._reporter._bars


@pytest.mark.parametrize("end", ["on_train_end", "on_exception"])
def test_nothing_is_shown_once_a_training_ends_however_it_does(end):
    bar = ProgressBar(training_at(0))
    bar.on_train_start()
    getattr(bar, end)()
    assert not writing._reporter._bars


def test_one_of_several_processes_shows_it():
    bar = ProgressBar(training_at(0, is_first=False))
    bar.on_train_start()
    bar.on_train_batch_end()
    assert not writing._reporter._bars
    bar.on_train_end()
