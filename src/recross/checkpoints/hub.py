"""Whether the hub can be reached: asked once, at once, and not again and again by its client."""

from __future__ import annotations

import os
import socket
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

from huggingface_hub import constants
from huggingface_hub.errors import HFValidationError
from huggingface_hub.file_download import repo_folder_name
from huggingface_hub.utils._validators import validate_repo_id

from recross.errors import InputError

SECONDS_TO_ANSWER = 5.0
PROXIES = ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")


def require_place(checkpoint: str) -> None:
    """Refuse a checkpoint that is no folder, and of which nothing can be had from the hub.

    Raises:
        InputError: it is no hub id either, or nothing of it is in the hub's cache and the hub
            cannot be reached.
    """
    if Path(checkpoint).is_dir():
        return
    try:
        validate_repo_id(checkpoint)
    except HFValidationError:
        raise InputError(
            f"checkpoint must be a folder that is there, or a hub id, got {checkpoint!r}"
        ) from None
    if (reason := find_reason_unreachable()) is not None and not _is_cached(checkpoint):
        raise InputError(
            "checkpoint must be a folder that is there, or a hub id in the cache while the hub"
            f" cannot be reached ({reason}), got {checkpoint!r}"
        )


@cache
def find_reason_unreachable() -> str | None:
    """Why the hub cannot be reached; then its client does not try either. ``None``: it can be.

    What lies behind a proxy is not known, and taken to be there.
    """
    if constants.is_offline_mode():
        return "HF_HUB_OFFLINE is set"
    if any(os.environ.get(name) for name in PROXIES):
        return None
    address = urlsplit(constants.ENDPOINT)
    port = address.port or (80 if address.scheme == "http" else 443)
    try:
        socket.create_connection((address.hostname, port), SECONDS_TO_ANSWER).close()
    except OSError as error:
        constants.HF_HUB_OFFLINE = True  # its client would try for minutes, and say each try
        return f"{address.hostname}: {(error.strerror or str(error)).lower()}"
    return None


def _is_cached(hub_id: str) -> bool:
    """Whether anything of a hub id is in the hub's cache."""
    return Path(
        constants.HF_HUB_CACHE, repo_folder_name(repo_id=hub_id, repo_type="model")
    ).is_dir()
