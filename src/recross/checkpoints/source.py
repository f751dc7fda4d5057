"""Where the parts of a checkpoint in Hugging Face layout are read: config, tokenizer, weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, cast

from huggingface_hub.utils.tqdm import disable_progress_bars

from recross.checkpoints.config_sizes import check_config
from recross.checkpoints.json_files import read_json, refuse_pointer
from recross.checkpoints.loaded import ModelConfig, Tokenizer
from recross.checkpoints.location import find_file, find_pinned_revision, locate
from recross.checkpoints.module_folder import TRANSFORMERS, ModuleFolder, read_modules
from recross.checkpoints.published import find_published
from recross.errors import InputError
from recross.records import JsonObject
from recross.writing.progress import working

_VOCABULARIES = ("tokenizer.json", "vocab.txt", "spiece.model", "tokenizer.model", "vocab.json")
"""Files of which a tokenizer needs one."""
_TOKENIZER_SETTINGS = ("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json")
_PROBES = ("a", "b", "\u2603")
"""Texts of one letter, and one that few vocabularies know."""
_LONGEST_REASON = 300
_Component = TypeVar("_Component")


class ModelSource(NamedTuple):
    """Where the files of a model of transformers are: of a chain, in its first module's folder."""

    checkpoint: str
    location: str
    folder: str

    @property
    def where(self) -> dict[str, Any]:
        """The folder within the location, and the commit, as transformers asks for them."""
        revision = find_pinned_revision(self.checkpoint)
        return {"subfolder": self.folder, "revision": revision}


def read_family(checkpoint: str) -> str:
    """The ``model_type`` that a checkpoint's config names."""
    return str(find_config(find_source(checkpoint, read_modules(checkpoint))).model_type)


def is_causal(checkpoint: str) -> bool:
    """Whether a checkpoint's config names a causal language model without a head of its own."""
    source = find_source(checkpoint, read_modules(checkpoint))
    classes = find_config(source).to_dict().get("architectures") or ()
    return any(str(name).endswith(("ForCausalLM", "LMHeadModel")) for name in classes)


def load_tokenizer(checkpoint: str) -> Tokenizer:
    """Load a checkpoint's tokenizer, or that of another one which its record names.

    Raises:
        InputError: a folder holds no tokenizer file, or it cannot be read.
    """
    _be_quiet()
    known = find_published(checkpoint)
    if known is not None and known.tokenizer is not None:
        return load_tokenizer(known.tokenizer)
    source = find_source(checkpoint, read_modules(checkpoint))
    _check_tokenizer_files(source)
    return read_component(source, "tokenizer", lambda: _read_tokenizer(source))


def _read_tokenizer(source: ModelSource) -> Tokenizer:
    """A tokenizer that makes tokens of texts: some can be read and fail at their first text."""
    from transformers import AutoTokenizer

    loaded = AutoTokenizer.from_pretrained(source.location, **source.where, trust_remote_code=False)
    tokenizer = cast(Tokenizer, loaded)
    for text in _PROBES:
        if not tokenizer(text, add_special_tokens=False)["input_ids"]:
            raise ValueError(f"it makes no tokens of the text {text!r}")
    return tokenizer


def _check_tokenizer_files(source: ModelSource) -> None:
    folder = Path(source.location, source.folder)
    if not folder.is_dir():
        return
    if not any((folder / name).is_file() for name in _VOCABULARIES):
        raise InputError(
            f"checkpoint must hold a tokenizer file ({', '.join(_VOCABULARIES)}),"
            f" got none in {source.checkpoint!r}"
        )
    for path in (folder / name for name in (*_VOCABULARIES, *_TOKENIZER_SETTINGS)):
        if path.is_file():
            refuse_pointer(path)
            if path.suffix == ".json":
                _check_tokenizer_settings(path, read_json(path))


def _check_tokenizer_settings(path: Path, values: JsonObject) -> None:
    kind, limit = values.get("tokenizer_class"), values.get("model_max_length")
    if not isinstance(kind, str | None):
        raise InputError(f"tokenizer_class in {path} must be text, got {kind!r}")
    is_limit = isinstance(limit, int | float) and not isinstance(limit, bool) and limit > 0
    if limit is not None and not is_limit:
        raise InputError(f"model_max_length in {path} must be a positive number, got {limit!r}")


def find_source(checkpoint: str, chain: ModuleFolder | None) -> ModelSource:
    """Find where the model of a checkpoint lies, which may be a chain of modules."""
    holds_model = chain is not None and chain.parts[0].kind in TRANSFORMERS
    folder = chain.parts[0].place if chain is not None and holds_model else ""
    return ModelSource(checkpoint, locate(checkpoint), folder)


def find_config(source: ModelSource) -> ModelConfig:
    """Read the config of a source.

    Raises:
        InputError: it cannot be read.
    """
    _be_quiet()
    return read_component(source, "config", lambda: _read_config(source))


def _read_config(source: ModelSource) -> ModelConfig:
    """A config as transformers knows it; other people's are translated."""
    from transformers import AutoConfig, PretrainedConfig

    from recross.checkpoints.foreign import translate_config

    _refuse_adapter(source)
    path = find_file(source.checkpoint, "config.json", source.folder)
    if path is not None:
        check_config(source.checkpoint, read_json(path))
    values, _ = PretrainedConfig.get_config_dict(source.location, **source.where)
    _refuse_own_code(source.checkpoint, values)
    known = translate_config(values) or AutoConfig.from_pretrained(
        source.location, **source.where, trust_remote_code=False
    )
    return cast(ModelConfig, known)


def read_component(
    source: ModelSource, component: str, read: Callable[[], _Component]
) -> _Component:
    """Read one component of a source, or say in one error why it cannot be read."""
    try:
        with working(f"reading the {component} of {source.checkpoint}"):
            return read()
    except (InputError, MemoryError):
        raise
    except Exception as error:  # noqa: BLE001  (tokenizers raises bare ones)
        revision = source.where["revision"]
        pinned = f" at its pinned revision {revision}" if revision is not None else ""
        reason = " ".join(str(error).split())[:_LONGEST_REASON] or type(error).__name__
        raise InputError(
            f"checkpoint must be a hub id or a folder with config, weights and tokenizer, got"
            f" {source.checkpoint!r}, whose {component}{pinned} cannot be read ({reason})"
        ) from None


def _refuse_adapter(source: ModelSource) -> None:
    """Refuse what is to be added to another model's weights; it is no model of its own."""
    path = find_file(source.checkpoint, "adapter_config.json", source.folder)
    if path is not None:
        base = read_json(path).get("base_model_name_or_path")
        raise InputError(
            f"checkpoint must be a whole model, got {source.checkpoint!r}, an adapter of {base!r}:"
            " save both as one (merge_and_unload of the package peft), and name that folder"
        )


def _refuse_own_code(checkpoint: str, config: JsonObject) -> None:
    """Refuse a model whose class is in its own repository, whatever family it says it is of.

    Its weights may fit a class of transformers all the same, and score as nobody trained them.
    """
    import transformers
    from transformers import CONFIG_MAPPING

    classes = [str(name) for name in config.get("architectures") or ()]
    family = str(config.get("model_type"))
    is_known = any(hasattr(transformers, name) for name in classes)
    if config.get("auto_map") and not is_known and (classes or family not in CONFIG_MAPPING):
        raise InputError(
            f"checkpoint must be of a class that transformers has, got {checkpoint!r}, whose"
            f" {(classes or [family])[0]} is code of its own, which is not run here: serve it, and"
            " ask the server (reranker=served)"
        )


def _be_quiet() -> None:
    from transformers.utils import logging as transformers_logging

    transformers_logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    disable_progress_bars()
