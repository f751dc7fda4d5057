"""Causal re-rankers in sentence-transformers' layout: a chat template, and the logits that it asks.

A folder is a chain of a Transformer and a LogitScore, or of a Transformer with a linear head alone.
Its chat template lays out a query and a document, and what is wanted as the system's turn; the
numbers of one or two pieces say which logits are read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple, cast

from jinja2 import TemplateError

from recross.checkpoints.contracts import PromptContract, PromptReadOut
from recross.checkpoints.loaded import Tokenizer
from recross.checkpoints.module_folder import TRANSFORMERS, ModuleFolder, read_modules
from recross.checkpoints.source import find_config, find_source, load_tokenizer
from recross.checkpoints.templates import escape_braces
from recross.errors import InputError
from recross.records import JsonObject

LOGIT_SCORE = "LogitScore"
MARGIN_ACTIVATIONS: Mapping[str, str] = {
    "Sigmoid": "sigmoid",
    "Identity": "margin",
    "LogSigmoid": "log_softmax",
}
"""What sentence-transformers makes of a margin, and the read-outs that give the same."""
_SLOTS = {"query": "\ue000q\ue001", "document": "\ue000d\ue001", "system": "\ue000i\ue001"}
_NOT_OF_THE_TEMPLATE = {"restore_suffix", "padding", "truncation", "max_length", "return_tensors"}


class Rendered(NamedTuple):
    """A template with slots; whether texts lose the blanks around them, and whether it is told."""

    template: str
    stripped: bool
    is_told: bool


def is_chat_chain(chain: ModuleFolder | None) -> bool:
    """Whether a chain of modules asks by a chat template: it ends in logits, or knows messages."""
    if chain is None or LOGIT_SCORE in chain.kinds:
        return chain is not None
    model = chain.parts[0].settings
    is_classifier = model.get("transformer_task") == "sequence-classification"
    return len(chain.parts) == 1 and is_classifier and "message" in _read_modalities(model)


def read_chat_contract(checkpoint: str) -> PromptContract | None:
    """Read the contract of a chain of modules that ends in logits; ``None`` where there is none.

    Raises:
        InputError: the chain is another, its template does not hold both texts as they are, or it
            does not say which logits are read, or reads them otherwise than is known here.
    """
    chain = read_modules(checkpoint)
    if chain is None or not is_chat_chain(chain):
        return None
    tokenizer, model = load_tokenizer(checkpoint), chain.parts[0].settings
    pieces = _read_pieces(chain) if LOGIT_SCORE in chain.kinds else ()
    instruction = chain.prompt(None) or None
    plain = _render(tokenizer, model, None, checkpoint)
    told = _render(tokenizer, model, _SLOTS["system"], checkpoint)
    if instruction is not None:
        plain = told
    return PromptContract(
        checkpoint.rstrip("/").rpartition("/")[2],
        plain.template,
        _read_activation(chain, pieces),
        pieces,
        add_eos=False,
        max_length=_find_limit(checkpoint, chain, tokenizer),
        instruction=instruction if told.is_told else None,
        instructed=told.template if told.is_told and told != plain else None,
        stripped=plain.stripped,
        source="its own files, in sentence-transformers' layout",
    )


def _read_pieces(chain: ModuleFolder) -> tuple[int, ...]:
    """The numbers of the pieces that are read, the worst first."""
    if len(chain.parts) != 2 or chain.kinds[0] not in TRANSFORMERS:
        raise InputError(
            f"modules before a {LOGIT_SCORE} must be one Transformer, got"
            f" {', '.join(chain.kinds)} in {chain.checkpoint!r}"
        )
    model, settings = (part.settings for part in chain.parts)
    task = model.get("transformer_task", "text-generation")
    if task != "text-generation":
        raise InputError(
            f"transformer_task before a {LOGIT_SCORE} must be text-generation, got {task!r}"
        )
    yes, no = settings.get("true_token_id"), settings.get("false_token_id")
    if not isinstance(yes, int) or not isinstance(no, int | None):
        raise InputError(
            f"{LOGIT_SCORE} must have a true_token_id, and a false_token_id or null, got {yes!r}"
            f" and {no!r} in {chain.checkpoint!r}"
        )
    return (yes,) if no is None else (no, yes)


def _read_activation(chain: ModuleFolder, pieces: Sequence[int]) -> PromptReadOut:
    stored = str(chain.settings.get("activation_fn") or "Sigmoid")
    read_out = MARGIN_ACTIVATIONS.get(stored.rpartition(".")[2])
    if read_out is None or (len(pieces) < 2 and read_out == "log_softmax"):
        raise InputError(
            f"activation_fn must be {', '.join(MARGIN_ACTIVATIONS)}, got {stored!r};"
            " name a contract"
        )
    if read_out == "margin":
        read_out = ("head", "logit", "margin")[len(pieces)]
    return cast(PromptReadOut, read_out)


def _render(
    tokenizer: Tokenizer, settings: JsonObject, system: str | None, checkpoint: str
) -> Rendered:
    """The chat template with slots for its texts, whose blanks show whether it strips them."""
    if not tokenizer.chat_template:
        raise InputError(f"checkpoint {checkpoint!r} must hold a chat template, got none")
    told = {} if system is None else {"system": system}
    texts = told | {role: f" {_SLOTS[role]} " for role in ("query", "document")}
    messages: JsonObject = _read_modalities(settings).get("message") or {}
    is_flat = messages.get("format", "flat") == "flat"
    turns: list[JsonObject] = [
        {"role": role, "content": text if is_flat else [{"type": "text", "text": text}]}
        for role, text in texts.items()
    ]
    processing: JsonObject = settings.get("processing_kwargs") or {}
    given: JsonObject = processing.get("chat_template") or {}
    options = {name: given[name] for name in given.keys() - _NOT_OF_THE_TEMPLATE}
    try:
        text = tokenizer.apply_chat_template(turns, tokenize=False, **options)
    except (TemplateError, TypeError, ValueError) as error:
        raise InputError(
            f"chat template of {checkpoint!r} must lay out a query and a document ({error})"
        ) from None
    return _put_slots(text, texts, checkpoint)


def _put_slots(text: str, texts: Mapping[str, str], checkpoint: str) -> Rendered:
    whole = [text.count(texts[role]) for role in ("query", "document")]
    bare = [text.count(_SLOTS[role]) for role in ("query", "document")]
    stripped = whole != bare
    if bare != [1, 1] or (stripped and any(whole)):
        raise InputError(
            f"chat template of {checkpoint!r} must hold query and document once each, both as they"
            f" are or both stripped, got {text!r}"
        )
    names = {"query": "{query}", "document": "{document}", "system": "{instruction}"}
    marks = {
        (_SLOTS[role] if stripped else content): names[role] for role, content in texts.items()
    }
    pieces = re.split("(" + "|".join(map(re.escape, marks)) + ")", text)
    template = "".join(marks.get(piece, escape_braces(piece)) for piece in pieces)
    return Rendered(template, stripped, "{instruction}" in marks.values() and _is_told(text))


def _is_told(text: str) -> bool:
    return _SLOTS["system"] in text


def _read_modalities(settings: JsonObject) -> JsonObject:
    modalities: JsonObject = settings.get("modality_config") or {}
    return modalities


def _find_limit(checkpoint: str, chain: ModuleFolder, tokenizer: Tokenizer) -> int:
    """How many tokens the checkpoint's own files allow, and its positions."""
    stated = chain.limit or tokenizer.model_max_length
    positions = find_config(find_source(checkpoint, chain)).max_position_embeddings
    return int(min(stated, positions))
