"""Secrets are known by their form or their name, and what only looks like one is left alone."""

import pytest

from recross.errors import InputError
from recross.parts.secrets import MASK, find_secrets, is_secret_name, mask_secrets
from recross.rerankers.generative.endpoint import EndpointGenerator

KEYS = [
    "sk-proj-AbCdEfGhIjKlMnOpQrStUv0123456789",
    "sk-ant-api03-AbCdEfGhIjKlMnOpQrSt-UvWxYz0123456789_AA",
    "hf_AbCdEfGhIjKlMnOpQrStUvWxYzAbCdEfGh",
    "AKIAIOSFODNN7EXAMPLE",
    "ghp_AbCdEfGhIjKlMnOpQrStUvWxYz0123456789",
    "glpat-AbCdEfGhIjKlMnOpQrSt",
    "xoxb-123456789012-AbCdEfGh",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.AbCdEf",
    "Bearer AbCdEfGhIjKlMnOp0123",
    "https://me:hunter2@host/v1",
    "https://host/v1?api_key=AbCd&x=1",
    "https://host/v1?x=1&access_token=AbCd",
    "-----BEGIN RSA PRIVATE KEY-----",
]


@pytest.mark.parametrize("key", KEYS)
def test_a_key_is_known_by_its_form_and_never_shown(key):
    (problem,) = find_secrets({"study": key})
    assert problem.startswith("study: must hold no secret")
    assert key not in problem
    masked = mask_secrets(f"could not reach {key} today")
    assert MASK in masked
    for told in ("AbCd", "hunter2", "IOSFODNN7", "RSA PRIVATE"):
        assert told not in masked
    with pytest.raises(InputError) as raised:
        EndpointGenerator("http://host/v1", key)
    assert key not in str(raised.value)


@pytest.mark.parametrize(
    "value",
    [
        "cross-encoder/ms-marco-MiniLM-L6-v2",
        "sk-learn/cross-encoder",
        "hf_models/minilm",
        "https://host:8000/v1",
        "https://host/v1?q=key",
        "outputs/sk-study/seed=0/checkpoint",
        "What is a bearer token?",
        "mailto:me@host",
        "git+ssh://git@host/x",
    ],
)
def test_what_looks_a_little_like_a_key_is_none(value):
    assert list(find_secrets({"checkpoint": value, "query_prompt": value})) == []
    assert mask_secrets(value) == value


def test_a_path_through_a_folder_of_tokens_is_no_name_of_a_secret():
    said = "store/token_vectors_parts/a3b24dd7: vectors.bin is not what was written"
    assert mask_secrets(said) == said
    assert mask_secrets("in host/token=abc") == f"in host/token={MASK}"


def test_forty_hexadecimal_digits_are_a_key_or_a_commit_by_what_they_are_called():
    digits = "0123456789abcdef0123456789abcdef01234567"
    assert (
        list(find_secrets({"revision": digits, "checkpoint": digits, "commit_hash": digits})) == []
    )
    (problem,) = find_secrets({"entity": digits})
    assert problem.startswith("entity: ")
    assert mask_secrets(f"revision={digits} key={digits}") == f"revision={digits} key={MASK}"


@pytest.mark.parametrize(
    "name",
    (
        *(
            "api_key",
            "apiKey",
            "X-Auth-Token",
            "Authorization",
            "password",
            "client_secret",
            "HF_TOKEN",
        ),
        *("OPENAI_API_KEY", "key", "token", "credentials", "hub_token", "accessToken"),
    ),
)
def test_what_opens_something_is_called_so(name):
    assert is_secret_name(name)
    (problem,) = find_secrets({"extra_body": {name: "abc"}})
    assert problem.startswith(f"extra_body.{name}: ")
    assert "abc" not in problem
    assert mask_secrets(f"+a.b.{name}=abc") == f"+a.b.{name}={MASK}"


@pytest.mark.parametrize(
    "name",
    (
        *("max_tokens", "tokenizer", "sort_key", "stop_token_ids", "eos_token", "token_budget"),
        *(
            "api_key_variable",
            "keyword",
            "monkey",
            "thinking_tokens",
            "key_field",
            "tokens_per_batch",
        ),
    ),
)
def test_what_only_sounds_so_opens_nothing(name):
    assert not is_secret_name(name)
    assert list(find_secrets({name: "ABC"})) == []
    assert mask_secrets(f"{name}=abc") == f"{name}=abc"


def test_a_variable_is_named_and_its_value_not_given():
    (problem,) = find_secrets({"api_key_variable": "my secret"})
    assert problem.startswith("api_key_variable: must name a variable of the environment")
    assert "my secret" not in problem
