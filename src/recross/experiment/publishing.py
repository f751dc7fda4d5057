"""A trained checkpoint on a model hub: its card completed, its files sent, or shown before."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from huggingface_hub import HfApi, ModelCard
from huggingface_hub.errors import HfHubHTTPError, HFValidationError
from huggingface_hub.utils._validators import validate_repo_id

from recross.errors import InputError, RunError
from recross.experiment.model_card import CARD, PLACE
from recross.writing.whole_files import write_whole

NOT_SENT = ("manifest.json", "trained.json", "*.partial*")


def push_to_hub(
    folder: Path,
    repo_id: str,
    *,
    licence: str | None = None,
    datasets: Sequence[str] = (),
    private: bool = False,
    dry: bool = False,
) -> str:
    """Send the checkpoint of an experiment's folder to ``repo_id``, with its card completed.

    With ``dry`` nothing is sent: the card is written beside the weights, and what would be sent is
    said. Returns what was done, in lines.

    Raises:
        InputError: the folder holds no checkpoint with a card, or ``repo_id`` is none.
        RunError: the hub cannot be reached or refuses.
    """
    made = folder / "checkpoint" if (folder / "checkpoint").is_dir() else folder
    if not (made / CARD).is_file():
        raise InputError(
            f"folder must hold a checkpoint with a {CARD}, as recross run leaves it,"
            f" got {str(folder)!r}"
        )
    try:
        validate_repo_id(repo_id)
    except HFValidationError as error:
        raise InputError(f"repo_id must be user/name, got {repo_id!r} ({error})") from None
    text = complete_card((made / CARD).read_text(encoding="utf-8"), repo_id, licence, datasets)
    write_whole(made / CARD, text)
    files = [path for path in sorted(made.rglob("*")) if path.is_file() and _is_sent(path)]
    if dry:
        listed = [
            f"  {path.relative_to(made)}  {path.stat().st_size / 1e6:.2f} MB" for path in files
        ]
        return "\n".join([f"would send to {repo_id}:", *listed, "", text])
    try:
        hub = HfApi()
        hub.create_repo(repo_id, private=private, exist_ok=True)
        hub.upload_folder(
            repo_id=repo_id,
            folder_path=made,
            commit_message="Trained by recross",
            ignore_patterns=list(NOT_SENT),
        )
    except (HfHubHTTPError, OSError) as error:
        reason = " ".join(str(error).split())
        raise RunError(
            f"the hub must take {repo_id}, and said: {reason}; log in (hf auth login), or look"
            " at what would be sent with --dry-run"
        ) from None
    return f"sent to https://huggingface.co/{repo_id}"


def complete_card(text: str, repo_id: str, licence: str | None, datasets: Sequence[str]) -> str:
    """The card of a checkpoint with its name on the hub, a licence, and the data it learnt from."""
    card = ModelCard(text.replace(PLACE, repo_id))
    if licence is not None:
        card.data["license"] = licence
    if datasets:
        card.data["datasets"] = list(datasets)
    card.data["model_name"] = repo_id.rpartition("/")[2]
    return str(card)


def _is_sent(path: Path) -> bool:
    return not any(path.match(pattern) for pattern in NOT_SENT)
