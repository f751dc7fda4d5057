"""What is opened once is opened anew after its files changed."""

import os

import pytest

from recross.artefacts.manifest import MANIFEST
from recross.artefacts.opening import load_once, open_once


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "weights").write_text("first")
    (tmp_path / MANIFEST).touch()
    return tmp_path


def read(folder):
    return [(folder / "weights").read_text()]


def test_a_folder_is_opened_once_and_anew_when_it_was_made_again(folder):
    assert open_once(read, folder) is open_once(read, folder)
    (folder / "weights").write_text("second")
    os.utime(folder / MANIFEST, ns=(0, 0))
    assert open_once(read, folder) == ["second"]


def test_a_checkpoint_is_loaded_once_for_all_else_that_it_is_asked_with(folder):
    @load_once
    def load(checkpoint, limit, hardware="cpu"):
        """Load it."""
        return [*read(checkpoint), limit, hardware]

    assert load.__doc__ == "Load it."
    assert load(folder, 2) is load(folder, 2)
    assert load(folder, 3) == ["first", 3, "cpu"]
    assert load(folder, 2, hardware="gpu") == ["first", 2, "gpu"]
    (folder / "weights").write_text("longer")
    assert load(folder, 2) == ["longer", 2, "cpu"]
    (folder / "more").touch()
    assert load(folder, 2) is not load(folder, 3)


def test_the_id_of_a_checkpoint_is_loaded_once():
    load = load_once(lambda checkpoint: [checkpoint])
    assert load("maker/network") is load("maker/network")
