"""Folders in sentence-transformers' layout: a chain of modules, each with what it was saved with.

``modules.json`` names the modules and where each lies; a module's folder holds its ``config.json``
and its weights, the Transformer's is often the checkpoint's own. What concerns the whole model
(prompts, activation, similarity) is in ``config_sentence_transformers.json``. Nothing here is
imported by name: a kind of module that is not known is an error of whoever reads the chain.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

from recross.checkpoints.json_files import read_json_value
from recross.checkpoints.location import find_file, locate
from recross.checkpoints.module_settings import read_settings
from recross.errors import InputError
from recross.records import JsonObject

if TYPE_CHECKING:
    from torch import Tensor

MODULES = "modules.json"
MODEL_SETTINGS = "config_sentence_transformers.json"
TRANSFORMERS = ("Transformer", "MLMTransformer", "BERT")
"""What the module that holds a model of transformers is or was called."""
_TRANSFORMER_SETTINGS = tuple(
    f"sentence_{family}_config.json"
    for family in ("bert", "roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet")
)
_PACKAGES = re.compile(r"((sentence_transformers|pylate)\.[\w.]+\.)?\w+")
"""Classes of modules that a list may name; what they compute is known, and computed here."""
_NUMBERED = re.compile(r"(\d+)_(\w+)")
_PATHS = {
    "Transformer": "sentence_transformers.base.modules.transformer.Transformer",
    "Pooling": "sentence_transformers.sentence_transformer.modules.pooling.Pooling",
    "Dense": "sentence_transformers.base.modules.dense.Dense",
    "LayerNorm": "sentence_transformers.sentence_transformer.modules.layer_norm.LayerNorm",
    "Normalize": "sentence_transformers.base.modules.normalize.Normalize",
    "LogitScore": "sentence_transformers.cross_encoder.modules.logit_score.LogitScore",
}
POOLING_SWITCHES = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
"""Poolings by the switches that named them once."""


class ModuleEntry(NamedTuple):
    """One module of a chain: its class without its package, its folder, and its settings."""

    kind: str
    place: str
    """The folder within the checkpoint; empty for the checkpoint itself."""
    settings: JsonObject
    class_path: str = ""
    """The class with its package, as ``modules.json`` has it; empty where no file says it."""


@dataclass(frozen=True)
class ModuleFolder:
    """A checkpoint as a chain of modules, and what concerns all of them."""

    checkpoint: str
    parts: tuple[ModuleEntry, ...]
    settings: JsonObject
    """What ``config_sentence_transformers.json`` says; empty where there is none."""

    @property
    def kinds(self) -> tuple[str, ...]:
        """The modules' kinds, in their order."""
        return tuple(part.kind for part in self.parts)

    def find(self, kind: str) -> ModuleEntry | None:
        """Find the first module of a kind."""
        return next((part for part in self.parts if part.kind == kind), None)

    def prompt(self, name: str | None) -> str | None:
        """Find the text that this model puts before others, by its name; ``None``: there is none.

        Without a ``name`` it is that of ``default_prompt_name``.
        """
        prompts: dict[str, str] = self.settings.get("prompts") or {}
        return prompts.get(name or self.settings.get("default_prompt_name") or "")

    @property
    def limit(self) -> int | None:
        """How many tokens its first module says that it reads; ``None`` where it does not."""
        settings = self.parts[0].settings
        of_texts: JsonObject = (settings.get("processing_kwargs") or {}).get("text") or {}
        limit: int | None = of_texts.get("max_length") or settings.get("max_seq_length")
        return limit

    def weights(self, part: ModuleEntry) -> dict[str, Tensor]:
        """Load the weights of a module of its own folder.

        Raises:
            InputError: there are none, they cannot be read, or they are no finite numbers.
        """
        from recross.checkpoints.weight_files import FILES_OF_WEIGHTS, check_finite

        for name in FILES_OF_WEIGHTS:
            path = find_file(self.checkpoint, name, part.place)
            if path is not None:
                weights = _load_weights(path)
                check_finite(self.checkpoint, weights.items())
                return weights
        raise InputError(
            f"checkpoint {self.checkpoint!r} must hold the weights of its {part.kind}"
            f" in {part.place!r}, got none"
        )


def read_modules(checkpoint: str) -> ModuleFolder | None:
    """Read the chain of modules that a folder or a hub id holds; ``None`` where there is none.

    Before there was a ``modules.json``, numbered folders such as ``0_Transformer`` said the same.

    Raises:
        InputError: a file of the chain is no JSON, or a module has no folder within the checkpoint.
    """
    listed = find_file(checkpoint, MODULES)
    named = _numbered_folders(checkpoint) if listed is None else _list_modules(checkpoint, listed)
    if not named:
        return None
    parts = tuple(_read_module(checkpoint, path, place) for path, place in named)
    settings = find_file(checkpoint, MODEL_SETTINGS)
    return ModuleFolder(checkpoint, parts, {} if settings is None else read_settings(settings))


def make_classifier_chain() -> ModuleFolder:
    """The chain of a classifier of transformers, which is one module in the checkpoint itself."""
    settings: JsonObject = {
        "transformer_task": "sequence-classification",
        "modality_config": {"text": {"method": "forward", "method_output_name": "logits"}},
        "module_output_name": "scores",
    }
    return ModuleFolder("", (ModuleEntry("Transformer", "", settings),), {})


def write_modules(chain: ModuleFolder, folder: Path) -> None:
    """Write what lists the modules of a chain, and what concerns all of them.

    A module of a folder without a list is called as today's sentence-transformers calls it.
    """
    entries = [
        {
            "idx": n,
            "name": str(n),
            "path": entry.place,
            "type": entry.class_path or _PATHS[entry.kind],
        }
        for n, entry in enumerate(chain.parts)
    ]
    model = Path(chain.parts[0].place, _TRANSFORMER_SETTINGS[0])
    first = chain.parts[0].settings
    for name, values in ((MODULES, entries), (MODEL_SETTINGS, chain.settings), (model, first)):
        (folder / name).write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")


def read_pooling(settings: JsonObject) -> tuple[str, ...]:
    """Which tokens' vectors a Pooling takes: usually one mode, more are laid side by side."""
    mode = settings.get("pooling_mode")
    if isinstance(mode, str):
        return (mode,)
    if mode:
        return tuple(map(str, mode))
    switched = (mode for switch, mode in POOLING_SWITCHES.items() if settings.get(switch))
    return tuple(switched) or ("mean",)


def _read_module(checkpoint: str, class_path: str, place: str) -> ModuleEntry:
    package, _, kind = class_path.rpartition(".")
    settings = _settings(checkpoint, kind, place)
    return ModuleEntry(kind, place, settings, class_path if package else "")


def _list_modules(checkpoint: str, path: Path) -> list[tuple[str, str]]:
    """The class and the folder of every module of a ``modules.json``."""
    entries = read_json_value(path)
    if not isinstance(entries, list) or not all(
        isinstance(entry, dict) and all(isinstance(entry.get(key), str) for key in ("type", "path"))
        for entry in entries
    ):
        raise InputError(f"{path} must hold a list of modules with texts for type and path")
    named = [(entry["type"], entry["path"]) for entry in entries]
    if own := [kind for kind, _ in named if not _PACKAGES.fullmatch(kind)]:
        raise InputError(
            f"type of a module must be a class of sentence_transformers or pylate, for no code of a"
            f" checkpoint is run here, got {own[0]!r} in {path}"
        )
    for _, place in named:
        if PurePosixPath(place).is_absolute() or ".." in PurePosixPath(place).parts:
            raise InputError(
                f"path of a module must lie within the checkpoint {checkpoint!r}, got {place!r}"
            )
    return named


def _numbered_folders(checkpoint: str) -> list[tuple[str, str]]:
    folder = Path(locate(checkpoint))
    if not folder.is_dir():
        return []
    matches = [_NUMBERED.fullmatch(path.name) for path in folder.iterdir() if path.is_dir()]
    numbered = sorted((int(match[1]), match[2], match[0]) for match in matches if match)
    starts_with_model = numbered and numbered[0][1] in TRANSFORMERS
    return [(kind, place) for _, kind, place in numbered] if starts_with_model else []


def _settings(checkpoint: str, kind: str, place: str) -> JsonObject:
    names = _TRANSFORMER_SETTINGS if kind in TRANSFORMERS else ("config.json",)
    found = (find_file(checkpoint, name, place) for name in names)
    path = next((path for path in found if path is not None), None)
    return {} if path is None else read_settings(path)


def _load_weights(path: Path) -> dict[str, Tensor]:
    from safetensors.torch import load_file

    from recross.checkpoints.weight_files import load_pickled, read_stored

    read_stored(path)
    return load_file(path) if path.suffix == ".safetensors" else dict(load_pickled(path))
