"""Where several machines meet, and which of them this is, is said by the environment or refused."""

import os
import sys

import pytest

from recross.machine import nodes
from recross.machine.hardware import Hardware
from recross.machine.nodes import INTERFACE, announcing, find_interface, read_node_rank

MEETING = {"MASTER_ADDR": "10.0.0.1", "MASTER_PORT": "29500", "NODE_RANK": "1"}


@pytest.fixture
def around(monkeypatch):
    for name, value in MEETING.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


@pytest.mark.usefixtures("around")
def test_a_machine_knows_its_number_and_one_alone_is_the_first():
    assert read_node_rank(2) == 1
    assert not Hardware(nodes=2).is_first_node
    assert Hardware(nodes=1).is_first_node
    assert Hardware(devices=3, nodes=2).processes == 6
    assert list(Hardware(nodes=2).find_lacks()) == []


@pytest.mark.parametrize("name", MEETING)
def test_what_the_environment_does_not_say_is_named(around, name):
    around.delenv(name)
    (lack,) = Hardware(nodes=2).find_lacks()
    assert lack == f"nodes must be 1 where {name} is not set in the environment, got 2"
    assert list(Hardware().find_lacks()) == []


@pytest.mark.parametrize(
    "name, value, end", [("NODE_RANK", "2", 2), ("NODE_RANK", "-1", 2), ("MASTER_PORT", "x", 65536)]
)
def test_a_number_that_cannot_be_is_refused(around, name, value, end):
    around.setenv(name, value)
    (lack,) = Hardware(nodes=2).find_lacks()
    assert lack == f"{name} must be a whole number below {end} for nodes=2, got {value!r}"


@pytest.mark.usefixtures("around")
def test_nodes_change_the_order_of_sums_and_nothing_that_scores_follow_from():
    one, two = Hardware(threads=2), Hardware(threads=2, nodes=2)
    assert one.summation != two.summation
    assert one.identity == two.identity
    assert one == two  # finished experiments stay finished, whichever machines shared them


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux")
def test_an_address_is_reached_by_an_interface_of_this_machine():
    assert find_interface("127.0.0.1") == "lo"
    assert find_interface("::1") is None  # an address of another kind


def test_gloo_is_told_the_interface_for_as_long_as_processes_are_started(monkeypatch):
    monkeypatch.delenv(INTERFACE, raising=False)
    monkeypatch.setattr(nodes, "find_interface", {"10.0.0.1": "eth7"}.get)
    with announcing("10.0.0.1"):
        assert os.environ[INTERFACE] == "eth7"
    assert INTERFACE not in os.environ
    with announcing("10.0.0.2"):  # nobody knows
        assert INTERFACE not in os.environ


def test_an_interface_that_the_user_names_stays(monkeypatch):
    monkeypatch.setenv(INTERFACE, "ib0")
    monkeypatch.setattr(nodes, "find_interface", lambda _: "eth7")
    with announcing("10.0.0.1"):
        assert os.environ[INTERFACE] == "ib0"
    assert os.environ[INTERFACE] == "ib0"
