"""A hub that cannot be reached is said once and at once."""

import socket

import pytest
from huggingface_hub import constants

from recross.checkpoints.hub import find_reason_unreachable
from recross.checkpoints.location import find_file
from recross.errors import InputError


@pytest.fixture
def unreachable(monkeypatch, tmp_path):
    """No network, and how often one was looked for."""
    tries = []

    def refuse(address, timeout):
        tries.append((address, timeout))
        raise socket.gaierror(-2, "Name or service not known")

    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(socket, "create_connection", refuse)
    find_reason_unreachable.cache_clear()
    yield tries
    find_reason_unreachable.cache_clear()


def test_the_hub_is_tried_once_and_its_client_never(unreachable):
    for checkpoint in ("some/model", "some/other"):
        with pytest.raises(InputError) as raised:
            find_file(checkpoint, "config.json")
        assert str(raised.value) == (
            "checkpoint must be a folder that is there, or a hub id in the cache while the hub"
            " cannot be reached (huggingface.co: name or service not known), got"
            f" {checkpoint!r}"
        )
    assert [address for address, _ in unreachable] == [("huggingface.co", 443)]
    assert constants.is_offline_mode()


@pytest.mark.usefixtures("unreachable")
def test_what_is_in_the_cache_is_asked_for_there(tmp_path):
    (tmp_path / "models--some--model").mkdir()
    assert find_file("some/model", "config.json") is None


@pytest.mark.parametrize("path", ["outputs/s/name/seed=0/checkpoint", "/no/such", "./none"])
def test_a_path_that_is_gone_is_no_hub_id(path, unreachable):
    with pytest.raises(InputError, match="must be a folder that is there, or a hub id, got"):
        find_file(path, "config.json")
    assert unreachable == []
