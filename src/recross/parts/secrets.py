"""Keys and passwords: found by their form or by what they are called, and shown to nobody.

Configs, records and names of folders keep what a command is given, so that no secret may be given:
it stands in a variable of the environment, which the options ``..._variable`` name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

WAY_OUT = (
    "must hold no secret, which configs and records would keep (its value is not shown): put it"
    " into a variable of the environment, and name that, as api_key_variable does"
)
MASK = "***"
FORMS = re.compile(
    "|".join(
        (
            r"\bsk-(?:[a-z0-9]+-){0,3}[A-Za-z0-9_]{16,}",  # OpenAI, Anthropic, and others alike
            r"\bsk-[A-Za-z0-9_-]{40,}",
            r"\bhf_[A-Za-z0-9]{30,}",
            r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b",
            r"\bAIza[A-Za-z0-9_-]{30,}",
            r"\bgh[opsur]_[A-Za-z0-9]{30,}",
            r"\bgithub_pat_[A-Za-z0-9_]{30,}",
            r"\bglpat-[A-Za-z0-9_-]{20,}",
            r"\bxox[abeprs]-[A-Za-z0-9-]{10,}",
            r"\bgsk_[A-Za-z0-9]{30,}",
            r"\bwandb_v\d_[A-Za-z0-9_]{20,}",
            r"\beyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+",  # JSON web tokens
            r"-----BEGIN [A-Z ]*PRIVATE KEY-----",
            r"\b(?:Bearer|Basic)\s+(?=[A-Za-z_.~+/=-]*\d)[\w.~+/=-]{16,}",
            r"(?<=://)[^\s/:@]+:[^\s/@]+(?=@)",  # user and password of an address
            r"(?i:(?<=[?&])(?:api[_-]?key|key|(?:\w+_)?token|sig|signature|auth|password|secret))"
            r"=[^&\s#'\"]+",
        )
    )
)
FORTY_HEX = re.compile(r"[0-9a-f]{40}")
"""A key of Weights & Biases, and every commit: what it is called decides."""
OF_COMMITS = frozenset(
    (
        *("revision", "commit", "sha", "sha1", "hash", "digest", "fingerprint", "version"),
        *("checkpoint", "name", "study", "label", "path", "folder", "file", "output"),
        *("store", "candidates"),
    )
)
SECRET_WORDS = frozenset(
    (
        *("authorization", "password", "passwd", "passphrase", "secret", "secrets"),
        *("credential", "credentials", "apikey", "bearer"),
    )
)
KEY_WORDS = frozenset(("key", "keys", "token"))
NO_SECRETS = frozenset(
    (
        *("sort", "primary", "foreign", "public", "group", "field", "text", "id", "ids"),
        *("name", "eos", "bos", "pad", "mask", "cls", "sep", "unk", "stop", "special"),
        *("first", "last", "type", "query", "document", "doc", "variable", "env", "file"),
        *("path", "budget", "limit", "count"),
    )
)
"""Words beside ``key`` or ``token`` that say that it opens nothing."""
WORD_OF_NAME = re.compile(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])")
ASSIGNMENT = re.compile(r"""([\w.+~/@-]+)(["']?\s*[=:]\s*["']?)([^\s,"'}\]]+)""")
NAME_OF_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def is_secret_name(name: str) -> bool:
    """Whether what is called so opens something: ``api_key``, ``X-Auth-Token``, ``password``."""
    words = {word.lower() for word in WORD_OF_NAME.findall(name)}
    if words & SECRET_WORDS and not words & {"variable", "env", "file", "path"}:
        return True
    return bool(words & KEY_WORDS) and not words & NO_SECRETS


def is_secret(text: str, name: str = "") -> bool:
    """Whether a text is a secret by its form, or by the name it stands under."""
    if FORMS.search(text):
        return True
    if is_secret_name(name) and text.strip() and not text.startswith(("<", "[")):
        return True
    words = {word.lower() for word in WORD_OF_NAME.findall(name)}
    return bool(FORTY_HEX.fullmatch(text)) and not words & OF_COMMITS


def find_secrets(value: object, path: str = "") -> Iterator[str]:
    """Where secrets stand within a value, as the rule that is broken there; never the secret."""
    match value:
        case Mapping():
            for key, item in value.items():
                if FORMS.search(str(key)):
                    yield f"{path or 'config'}: a key {WAY_OUT}"
                else:
                    yield from find_secrets(item, f"{path}.{key}" if path else str(key))
        case list() | tuple():
            for number, item in enumerate(value):
                yield from find_secrets(item, f"{path}[{number}]")
        case bool():
            return
        case str() | int() if (rule := _find_broken_rule(value, _last(path))) is not None:
            yield f"{path}: {rule}"


def _find_broken_rule(value: str | int, name: str) -> str | None:
    if is_secret(value, name) if isinstance(value, str) else is_secret_name(name):
        return WAY_OUT
    if name.endswith("_variable") and not NAME_OF_VARIABLE.fullmatch(str(value)):
        return "must name a variable of the environment (its value is not shown)"
    return None


def _last(path: str) -> str:
    return path.rpartition(".")[2].partition("[")[0]


def mask_secrets(text: str) -> str:
    """The text with every secret in it replaced."""
    return ASSIGNMENT.sub(_mask_assigned, FORMS.sub(MASK, text))


def _mask_assigned(found: re.Match[str]) -> str:
    name, sign, value = found.groups()
    secret = is_secret(value, name.rpartition("/")[2].rpartition(".")[2])
    return f"{name}{sign}{MASK}" if secret else found[0]
