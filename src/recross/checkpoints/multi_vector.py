"""Late interaction as PyLate and sentence-transformers' MultiVectorEncoder lay it out.

A chain of modules: an encoder, linear layers on every token, what is left out, a normalisation. How
texts are marked, cut and filled up stands in the settings, in one of two dialects: PyLate's flat
names, or those of MultiVectorEncoder. Its own words win over PyLate's where a folder has both.
"""

from __future__ import annotations

import string
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from recross.checkpoints.late_contract import LateInteractionContract
from recross.checkpoints.loaded import Tokenizer
from recross.checkpoints.module_folder import ModuleEntry, ModuleFolder
from recross.errors import InputError
from recross.records import JsonObject

if TYPE_CHECKING:
    from torch import nn

DENSE = "sentence_transformers.base.modules.dense.Dense"
_PYLATE = (
    *("query_length", "document_length", "query_prefix", "document_prefix", "skiplist_words"),
    *("do_query_expansion", "attend_to_expansion_tokens", "attend_to_mask_tokens"),
)
"""Settings by which PyLate's folders are known."""
_PYLATE_QUERY_LENGTH = 32
"""What PyLate fills queries up to where a folder does not say."""
_PROMPTS = {"query": ("query",), "document": ("document", "passage", "corpus")}
"""Names of each side's prompts, of which the first that is there counts."""
_ENDS = ("MultiVectorMask", "Normalize")


class Projection(NamedTuple):
    """Linear layers on every token, and the entries under which a chain lists them."""

    layers: nn.Sequential
    entries: tuple[ModuleEntry, ...]

    def width(self, states: int) -> int:
        """How wide the vectors are that it makes of an encoder's ``states``."""
        return int(self.entries[-1].settings["out_features"]) if self.entries else states


class _Marked(NamedTuple):
    """What stands before the texts of one side: an entry of the vocabulary, then text."""

    marker: str
    prompt: str


class _Expansion(NamedTuple):
    """How long queries may be, and what fills them up to how many tokens."""

    query_length: int
    filled_to: int | None
    attends: bool
    filler: str | None


def is_multi_vector(chain: ModuleFolder) -> bool:
    """Whether a chain makes a vector of every token."""
    if "Pooling" in chain.kinds:
        return False
    is_named = chain.settings.get("model_type") in ("ColBERT", "MultiVectorEncoder")
    return is_named or not {"MultiVectorMask", "Dense"}.isdisjoint(chain.kinds)


def load_projection(chain: ModuleFolder) -> Projection:
    """Load the linear layers that a chain has on every token.

    Raises:
        InputError: the chain has other modules, or a layer cannot be read.
    """
    from torch import nn

    from recross.checkpoints.chain_modules import load_module

    encoder, *others = chain.parts
    entries = tuple(entry for entry in others if entry.kind == "Dense")
    ends = [entry.kind for entry in others[len(entries) :]]
    if encoder.place or len(set(ends)) != len(ends) or not {*ends} <= {*_ENDS}:
        raise InputError(
            "modules of late interaction must be a Transformer in the folder itself, then Dense,"
            f" then MultiVectorMask and Normalize, got {', '.join(chain.kinds)}"
            f" in {chain.checkpoint!r}"
        )
    return Projection(nn.Sequential(*(load_module(chain, entry) for entry in entries)), entries)


def draw_projection(states: int, width: int, seed: int) -> Projection:
    """Draw one linear layer without a bias from a seed, to be trained."""
    import torch
    from torch import nn

    from recross.checkpoints.chain_modules import DenseModule

    settings: JsonObject = {
        "in_features": states,
        "out_features": width,
        "bias": False,
        "activation_function": "torch.nn.modules.linear.Identity",
        "module_input_name": "token_embeddings",
        "module_output_name": "token_embeddings",
    }
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        layer = DenseModule(settings)
    return Projection(nn.Sequential(layer), (ModuleEntry("Dense", "1_Dense", settings, DENSE),))


def read_late_contract(
    chain: ModuleFolder, tokenizer: Tokenizer, dimension: int, positions: int | None
) -> LateInteractionContract:
    """Read how texts are marked, cut and compared from the settings of a chain.

    ``positions`` are those of the encoder: no text is longer.

    Raises:
        InputError: what the settings ask for is not computed here.
    """
    transformer = chain.parts[0].settings
    _refuse(chain, "similarity_fn_name", chain.settings, "meanmaxsim")
    _refuse(chain, "do_lower_case", transformer, True)
    is_pylate = any(name in chain.settings for name in _PYLATE)
    lengths = {**(_translate(chain.settings) if is_pylate else {}), **transformer}
    most = min(
        lengths.get("max_seq_length") or tokenizer.model_max_length,
        positions or tokenizer.model_max_length,
    )
    expansion = _read_expansion(lengths, most)
    query, document = (_read_marker(chain, tokenizer, side) for side in _PROMPTS)
    return LateInteractionContract(
        "multi-vector",
        query_length=expansion.query_length,
        document_length=lengths.get("document_length") or most,
        query_marker=query.marker,
        document_marker=document.marker,
        query_prompt=query.prompt,
        document_prompt=document.prompt,
        dimension=dimension,
        skip_punctuation=False,
        skiplist=_read_skiplist(chain, tokenizer, is_pylate),
        attends_to_masks=expansion.attends,
        filled_to=expansion.filled_to,
        filler=expansion.filler,
        normalises="Normalize" in chain.kinds or chain.settings.get("model_type") == "ColBERT",
        source="its own modules",
    )


def _translate(settings: JsonObject) -> JsonObject:
    """PyLate's settings in the words of MultiVectorEncoder."""
    lengths = {name: settings.get(name) for name in ("query_length", "document_length")}
    if "query_expansion" in settings:
        return {**lengths, "query_expansion": settings["query_expansion"]}
    if settings.get("do_query_expansion") is False:
        return {**lengths, "query_expansion": None}
    attends = settings.get("attend_to_expansion_tokens", settings.get("attend_to_mask_tokens"))
    length = lengths.pop("query_length") or _PYLATE_QUERY_LENGTH
    expansion = {"strategy": "fixed", "attend": bool(attends), "length": length}
    return {**lengths, "query_expansion": expansion}


def _read_expansion(lengths: JsonObject, most: int) -> _Expansion:
    """A fixed expansion makes every query as long as it says; another one only short ones."""
    expansion, limit = lengths.get("query_expansion"), lengths.get("query_length") or most
    if expansion is None:
        return _Expansion(limit, filled_to=0, attends=False, filler=None)
    length, strategy = expansion.get("length"), expansion.get("strategy")
    if type(length) is not int or length < 1 or strategy not in ("fixed", "min"):
        raise InputError(
            "query_expansion of late interaction must have a length of at least 1, and the strategy"
            f" fixed or min, got {expansion}"
        )
    is_fixed = strategy == "fixed"
    return _Expansion(
        length if is_fixed else max(limit, length),
        filled_to=None if is_fixed else length,
        attends=bool(expansion.get("attend")),
        filler=expansion.get("token"),
    )


def _read_marker(chain: ModuleFolder, tokenizer: Tokenizer, side: str) -> _Marked:
    """PyLate's prefix is one token if the vocabulary has it, or its first word; else it is text.

    What a folder of MultiVectorEncoder puts before texts is text, unless it begins with what its
    tokenizer was told to leave whole.
    """
    prompts = chain.settings.get("prompts") or {}
    prompt = next((prompts[name] for name in _PROMPTS[side] if prompts.get(name)), "")
    prefix: str = chain.settings.get(f"{side}_prefix") or ""
    whole = prefix + prompt.removeprefix(prefix)
    if prefix:
        vocabulary = tokenizer.get_vocab()
        pieces = [piece for piece in (prefix, *prefix.split(maxsplit=1)[:1]) if piece in vocabulary]
    else:
        added = sorted(tokenizer.get_added_vocab(), key=len, reverse=True)
        whole_ones = (piece for piece in added if prompt.startswith(piece))
        pieces = [piece for piece in whole_ones if tokenizer.tokenize(piece) == [piece]]
    marker = next(iter(pieces), "")
    return _Marked(marker, whole.removeprefix(marker))


def _read_skiplist(chain: ModuleFolder, tokenizer: Tokenizer, is_pylate: bool) -> tuple[str, ...]:
    """Entries of the vocabulary whose vectors documents lose; a folder of PyLate names its own."""
    mask = chain.find("MultiVectorMask")
    words: Sequence[str] | None = chain.settings.get("skiplist_words")
    if mask is not None:
        _refuse(chain, "keep_only_token_ids", mask.settings)
        words = mask.settings.get("skiplist_words") or ()
        tasks = mask.settings.get("skiplist_tasks") or ["document"]
        if words and [tasks] if isinstance(tasks, str) else tasks != ["document"]:
            raise InputError(
                f"skiplist_tasks must be ['document'], got {tasks} in {chain.checkpoint!r}"
            )
    elif words is None:
        words = string.punctuation if is_pylate else ()
    vocabulary = tokenizer.get_vocab()
    return tuple(word for word in words if word in vocabulary)


def _refuse(chain: ModuleFolder, name: str, settings: JsonObject, value: object = None) -> None:
    """Refuse a setting of one value, or of any, that scores would depend on."""
    found = settings.get(name)
    if found and value in (None, found):
        raise InputError(
            f"{name} of late interaction must not be set to {found!r}, which is not computed here,"
            f" got that in {chain.checkpoint!r}"
        )
