"""What counts as an installed package: not each folder that lies in the working directory."""

import importlib.util

import pytest

from recross.machine.packages import is_installed


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working directory as ``python -m`` sees it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend("")
    return tmp_path


def test_a_bare_folder_is_importable_and_no_installed_package(folder):
    (folder / "left_by_a_tool" / "run-1").mkdir(parents=True)
    (folder / "left_by_a_tool" / "run-1" / "notes.py").touch()
    assert importlib.util.find_spec("left_by_a_tool") is not None
    assert not is_installed("left_by_a_tool")


def test_what_has_a_file_of_its_own_is_installed_alone_and_within_a_bare_folder(folder):
    for inner in ("own_files", "shared_name/own_files"):
        (folder / inner).mkdir(parents=True)
        (folder / inner / "__init__.py").touch()
    (folder / "one_file.py").write_text("raise AssertionError('it is not imported')")
    assert is_installed("own_files")
    assert is_installed("one_file")
    assert is_installed("shared_name.own_files")


def test_what_is_nowhere_is_not_installed():
    assert not is_installed("no_such_package")
    assert not is_installed("no_such_package.inner")
