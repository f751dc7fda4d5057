"""How a late-interaction model is saved: as MultiVectorEncoder's chain, or as Stanford's ColBERT.

MultiVectorEncoder loads both with the same scores; what is saved is read here again as well.
"""

from __future__ import annotations

import json
import string
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from recross.checkpoints.chain_modules import save_module
from recross.checkpoints.late_contract import LateInteractionContract
from recross.checkpoints.loaded import Model, Tokenizer
from recross.checkpoints.module_folder import ModuleEntry, ModuleFolder, write_modules
from recross.records import JsonObject

_LIBRARY = "sentence_transformers"
_TRANSFORMER = f"{_LIBRARY}.base.modules.transformer.Transformer"
_MASK = f"{_LIBRARY}.multi_vector_encoder.modules.multi_vector_mask.MultiVectorMask"
_NORMALIZE = f"{_LIBRARY}.base.modules.normalize.Normalize"
_TOKENS: JsonObject = {
    "module_input_name": "token_embeddings",
    "module_output_name": "token_embeddings",
}


class LateLayout(Protocol):
    """A form of folder for weights, tokenizer and what texts become."""

    def save(
        self, model: Model, tokenizer: Tokenizer, contract: LateInteractionContract, folder: Path
    ) -> None:
        """Write a model whose token vectors come from its ``linear``."""


@dataclass(frozen=True)
class StanfordLayout:
    """ColBERT's own: encoder and linear layer in one file, markers in ``artifact.metadata``."""

    def save(
        self, model: Model, tokenizer: Tokenizer, contract: LateInteractionContract, folder: Path
    ) -> None:
        """Write a model whose token vectors come from its ``linear``."""
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        config = folder / "config.json"
        values = json.loads(config.read_text(encoding="utf-8"))
        _write(config, values | {"architectures": ["HF_ColBERT"]})
        metadata = {
            "query_token_id": contract.query_marker,
            "doc_token_id": contract.document_marker,
            "query_maxlen": contract.query_length,
            "doc_maxlen": contract.document_length,
            "mask_punctuation": contract.skip_punctuation,
            "attend_to_mask_tokens": contract.attends_to_masks,
            "dim": contract.dimension,
        }
        _write(folder / "artifact.metadata", metadata)


@dataclass(frozen=True)
class ChainLayout:
    """MultiVectorEncoder's: every module has a folder, prompts are text that becomes markers.

    ``transformer`` are the settings of the encoder's module, as far as others than the contract
    know them.
    """

    layers: tuple[ModuleEntry, ...]
    transformer: JsonObject = field(default_factory=dict)

    def save(
        self, model: Model, tokenizer: Tokenizer, contract: LateInteractionContract, folder: Path
    ) -> None:
        """Write a model whose token vectors come from its ``linear``."""
        state = model.state_dict()
        own = {name: state[name] for name in state if not name.startswith("linear.")}
        model.save_pretrained(folder, state_dict=own)
        _name_markers(tokenizer, contract).save_pretrained(folder)
        for layer, entry in zip(model.linear, self.layers, strict=True):
            save_module(layer, entry, folder)
        entries = self._entries(contract, name_skipped(tokenizer, contract))
        chain = ModuleFolder(str(folder), entries, _name_prompts(contract))
        write_modules(chain, folder)
        for entry in chain.parts[len(self.layers) + 1 :]:
            (folder / entry.place).mkdir(exist_ok=True)
            _write(folder / entry.place / "config.json", entry.settings)
        _write(folder / "sentence_bert_config.json", chain.parts[0].settings)

    def _entries(
        self, contract: LateInteractionContract, skipped: tuple[str, ...]
    ) -> tuple[ModuleEntry, ...]:
        count = len(self.layers)
        settings = {**self.transformer, **_name_lengths(contract)}
        skips: JsonObject = {
            "skiplist_words": list(skipped),
            "skiplist_tasks": ["document"],
            "keep_only_token_ids": None,
        }
        masked = f"{count + 1}_MultiVectorMask"
        normalised = f"{count + 2}_Normalize"
        entries = [
            ModuleEntry("Transformer", "", settings, _TRANSFORMER),
            *self.layers,
            ModuleEntry("MultiVectorMask", masked, skips, _MASK),
            ModuleEntry("Normalize", normalised, _TOKENS, _NORMALIZE),
        ]
        return tuple(entries if contract.normalises else entries[:-1])


def name_skipped(tokenizer: Tokenizer, contract: LateInteractionContract) -> tuple[str, ...]:
    """Name the entries of the vocabulary whose vectors documents lose.

    Of punctuation they are those that a text of one sign begins with, as ColBERT has it.
    """
    signs = string.punctuation if contract.skip_punctuation else ""
    pieces = (pieces[0] for sign in signs if (pieces := tokenizer.tokenize(sign)))
    return tuple(dict.fromkeys((*pieces, *contract.skiplist)))


def _name_lengths(contract: LateInteractionContract) -> JsonObject:
    """What an encoder's module says of lengths, and of queries that are filled up."""
    is_fixed = contract.filled_to is None
    expansion: JsonObject = {
        "strategy": "fixed" if is_fixed else "min",
        "attend": contract.attends_to_masks,
        "token": contract.filler,
        "length": contract.query_length if is_fixed else contract.filled_to,
    }
    return {
        "query_length": contract.query_length,
        "document_length": contract.document_length,
        "query_expansion": expansion if contract.filled_to != 0 else None,
    }


def _name_prompts(contract: LateInteractionContract) -> JsonObject:
    return {
        "model_type": "MultiVectorEncoder",
        "prompts": {
            "query": contract.query_marker + contract.query_prompt,
            "document": contract.document_marker + contract.document_prompt,
        },
        "default_prompt_name": None,
        "similarity_fn_name": "maxsim",
    }


def _name_markers(tokenizer: Tokenizer, contract: LateInteractionContract) -> Tokenizer:
    """A tokenizer that makes one token of a marker that stands in a text."""
    markers = [m for m in (contract.query_marker, contract.document_marker) if m]
    unsplit = [marker for marker in markers if tokenizer.tokenize(marker) != [marker]]
    if not unsplit:
        return tokenizer
    naming = deepcopy(tokenizer)
    naming.add_tokens(unsplit, special_tokens=True)
    return naming


def _write(path: Path, values: JsonObject) -> None:
    path.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
