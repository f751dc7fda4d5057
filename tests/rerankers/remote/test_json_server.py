"""What a server says of a failure, and how long it asks to be left alone."""

import time
from email.utils import formatdate

import pytest

from recross.errors import InputError
from recross.rerankers.remote.json_server import JsonServer, read_reason, read_wait
from recross.rerankers.remote.patience import Patience


@pytest.mark.parametrize(
    "content, reason",
    [
        (b'{"error": {"message": "too long", "code": 400}}', "too long"),  # OpenAI, vLLM
        (b'{"error": "batch size 64 > maximum 32", "error_type": "Validation"}', "batch size 64"),
        (b'{"id": "1", "message": "invalid api token"}', "invalid api token"),  # Cohere
        (b'{"detail": "no such model"}', "no such model"),
        (b'{"detail": [{"msg": "Field required"}]}', "Field required"),  # FastAPI
        (b"<html>\n  bad   gateway </html>", "<html> bad gateway </html>"),
        (b"\xff", "\ufffd"),
        (b"", ""),
    ],
)
def test_the_reason_is_found_in_every_form_of_error(content, reason):
    assert reason in read_reason(content)
    assert len(read_reason(content * 1000)) <= 300


def test_a_wait_may_be_a_number_of_seconds_or_a_date():
    assert read_wait("7") == 7
    assert read_wait(None) == read_wait("") == read_wait("soon") == 0
    assert 20 <= read_wait(formatdate(time.time() + 30, usegmt=True)) <= 31


@pytest.mark.parametrize("key", ["sk-sec\nret", "sk-secr\u00e9t", "sk\tsecret"])
def test_a_key_that_no_header_can_hold_is_refused_without_showing_it(monkeypatch, key):
    monkeypatch.setenv("SOME_KEY", key)
    with pytest.raises(InputError, match="SOME_KEY must hold an API key of one line") as caught:
        JsonServer("http://127.0.0.1:1", "SOME_KEY", Patience())
    assert "sec" not in str(caught.value)
