"""A cell says which of how many it is, as far as its process can know."""

import logging
import os

import pytest
from hydra.core.hydra_config import HydraConfig
from hydra.core.singleton import Singleton
from omegaconf import OmegaConf

from recross.command.cell_place import CELLS, at_cell, count_cells
from recross.writing.progress import PART_OF


@pytest.fixture
def set_job():
    """Hydra's settings, as a job has them."""
    kept = Singleton.get_state()

    def set_job(number, **sweeper):
        settings = {"hydra": {"job": {"num": number}, "sweeper": sweeper}}
        HydraConfig.instance().cfg = OmegaConf.create(settings)

    yield set_job
    Singleton.set_state(kept)


def test_a_cell_is_counted_from_one_within_its_sweep_and_not_beyond(set_job, caplog):
    caplog.set_level(logging.INFO, "recross")
    set_job(1)
    with count_cells(9), at_cell("cell", "out/of_b.trec"):
        assert os.environ[PART_OF] == "cell 2 of 9"
    assert caplog.messages == ["cell 2 of 9: out/of_b.trec"]
    assert PART_OF not in os.environ
    assert CELLS not in os.environ


def test_a_process_that_is_not_told_how_many_there_are_says_the_number(set_job):
    set_job(4)
    with at_cell("cell", "out"):
        assert os.environ[PART_OF] == "cell 5"


def test_a_trial_of_a_search_is_one_of_those_that_were_asked_for(set_job):
    set_job(0, n_trials=20)
    with at_cell("trial", "out"):
        assert os.environ[PART_OF] == "trial 1 of 20"
