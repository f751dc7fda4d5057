"""A re-ranker by name, for Python users."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from recross.checkpoints.chat_layout import is_chat_chain
from recross.checkpoints.delta_folder import find_cache_folder
from recross.checkpoints.module_folder import read_modules
from recross.checkpoints.multi_vector import is_multi_vector
from recross.checkpoints.published import find_contract
from recross.checkpoints.resolution import look_up_contract
from recross.checkpoints.source import is_causal, read_family
from recross.command.building import build
from recross.command.catalogue import list_options
from recross.command.composition import compose_values
from recross.command.plugins import find_option_folders, find_plugins
from recross.errors import InputError
from recross.inference.cache.score_cache import ScoreCache
from recross.inference.untrained import Untrained, allow_untrained
from recross.machine.hardware import Hardware
from recross.rerankers.causal import CausalReranker
from recross.rerankers.comparing.duo import DuoBERT, DuoT5
from recross.rerankers.cross_encoder import CrossEncoder
from recross.rerankers.dual_encoder import DualEncoder
from recross.rerankers.exported import ExportedCrossEncoder, is_exported
from recross.rerankers.late_interaction.late_interaction import LateInteraction
from recross.rerankers.reranker import NetworkReranker, Reranker
from recross.rerankers.t5 import T5Reranker

RERANKERS: dict[str, type[NetworkReranker]] = {
    **{kind.__name__: kind for kind in (CrossEncoder, DuoBERT, T5Reranker, DuoT5)},
    **{kind.__name__: kind for kind in (CausalReranker, LateInteraction, DualEncoder)},
}
"""What contracts call the re-rankers that read them."""


def load_reranker(
    name: str | Path,
    *,
    contract: str | None = None,
    max_length: int | None = None,
    hardware: Hardware | str = Hardware(),
    cache: bool | str | Path = False,
    untrained: Untrained = "refuse",
) -> NetworkReranker:
    """Load a re-ranker by folder, option name (``minilm_l6``) or hub id.

    ``contract`` names the scoring contract where the checkpoint does not say; ``max_length``
    overrides its limit, in tokens. ``hardware`` is a target or an option (``"cpu_int8"``). With
    ``cache`` scores are kept by content, and never computed twice: in a folder of your own, or for
    ``True`` in the user's. Whatever else is kept lies there, too: in ``$RECROSS_CACHE``, else
    ``~/.cache/recross``, and nothing in the folder that you work in. A network whose head was drawn
    refuses to score, unless ``untrained="allow"``, as to time it.

    Raises:
        InputError: there is no such checkpoint, the option has no network of its own, or the
            contract does not fit the checkpoint.
    """
    name = str(name)
    options = list_options(tuple(find_option_folders(find_plugins())))["reranker"]
    if not Path(name).is_dir() and name in options:
        reranker = build_reranker_option(name)
    else:
        reranker = _find_kind(name, contract)(name)
    if not isinstance(reranker, NetworkReranker):
        raise InputError(f"name must be that of a network, got the option {name!r}")
    hardware = _find_hardware(hardware)
    if isinstance(reranker, ExportedCrossEncoder) and hardware == Hardware():
        hardware = replace(hardware, backend="onnx")  # which alone computes it
    changes: dict[str, Any] = {
        "hardware": hardware,
        "store": find_cache_folder() / "store",
        "cache": _find_cache(cache),
    }
    changes |= {"contract": contract} if contract is not None else {}
    changes |= {"max_length": max_length} if max_length is not None else {}
    takes = {field.name for field in fields(reranker)}
    if unfit := sorted(changes.keys() - takes):
        raise InputError(f"{unfit[0]} is not an argument of {name!r}, a {type(reranker).__name__}")
    reranker = replace(reranker, **changes)
    network = reranker.network  # a wrong name fails here, not at the first score
    if untrained == "allow":
        allow_untrained(network)
    return reranker


def _find_hardware(hardware: Hardware | str) -> Hardware:
    if isinstance(hardware, Hardware):
        return hardware
    option: Hardware = build(compose_values("run", [f"hardware={hardware}"])["hardware"])
    return option


def _find_cache(cache: bool | str | Path) -> ScoreCache | None:
    if isinstance(cache, bool):
        return ScoreCache(find_cache_folder() / "scores") if cache else None
    return ScoreCache(Path(cache))


def build_reranker_option(name: str) -> Reranker:
    """Build an option of the group ``reranker``."""
    reranker: Reranker = build(compose_values("run", [f"reranker={name}"])["reranker"])
    return reranker


def _find_kind(checkpoint: str, contract: str | None) -> type[NetworkReranker]:
    """Which class reads a checkpoint: its contract or modules say, and for prompts its config."""
    if is_exported(Path(checkpoint)):
        return ExportedCrossEncoder
    known = find_contract(contract) if contract is not None else look_up_contract(checkpoint)
    if known is None:
        chain = read_modules(checkpoint)
        if is_chat_chain(chain) or is_causal(checkpoint):
            return CausalReranker  # which refuses a prompt that nobody names
        return LateInteraction if chain is not None and is_multi_vector(chain) else CrossEncoder
    kind = known.name_reranker(lambda: read_family(checkpoint))
    if kind not in RERANKERS:
        raise InputError(
            f"name must be that of a network that scores pairs, got {checkpoint!r}, which {kind}"
            " reads: choose it as an option (recross run reranker=... or retriever=...)"
        )
    return RERANKERS[kind]
