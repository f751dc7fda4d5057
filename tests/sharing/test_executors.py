"""Who may share a run is decided before any work."""

import pytest

from recross.errors import InputError
from recross.machine.hardware import Hardware
from recross.sharing import executors
from recross.sharing.executors import check_executor


@pytest.fixture
def with_ray(monkeypatch):
    """All that Ray Data imports, as if it were installed."""
    monkeypatch.setattr(executors, "is_installed", lambda _: True)


def test_without_ray_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setattr(executors, "is_installed", lambda name: name != "ray")
    expected = r"^executor must be installed, got 'ray' without ray; pip install 'recross\[ray\]'$"
    with pytest.raises(InputError, match=expected):
        check_executor("ray", 2, Hardware())


@pytest.mark.usefixtures("with_ray")
def test_ray_is_told_how_many_actors():
    with pytest.raises(InputError, match="processes must be a number for executor=ray, got null"):
        check_executor("ray", None, Hardware())


@pytest.mark.usefixtures("with_ray")
def test_ray_knows_its_own_machines():
    with pytest.raises(InputError, match="nodes must be 1 for a run that Ray shares, got 2"):
        check_executor("ray", 2, Hardware(nodes=2))


def test_local_processes_need_nothing():
    check_executor("local", 2, Hardware(nodes=2))
    check_executor("local", None, Hardware(tokens_per_batch="auto"))
