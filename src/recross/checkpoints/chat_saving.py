"""A causal re-ranker written in sentence-transformers' layout, so that it gives the same scores."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from recross.checkpoints.chat_layout import LOGIT_SCORE
from recross.checkpoints.contracts import PromptContract
from recross.checkpoints.loaded import Tokenizer
from recross.checkpoints.module_folder import ModuleEntry, ModuleFolder, write_modules
from recross.checkpoints.templates import JOINT_SLOT, split_template
from recross.records import JsonObject
from recross.store import write_json

_ACTIVATIONS = {
    "margin": "torch.nn.modules.linear.Identity",
    "logit": "torch.nn.modules.linear.Identity",
    "head": "torch.nn.modules.linear.Identity",
    "sigmoid": "torch.nn.modules.activation.Sigmoid",
    "log_softmax": "torch.nn.modules.activation.LogSigmoid",
}
_READ = {"method": "forward", "method_output_name": "logits"}


def can_be_laid_out(contract: PromptContract) -> bool:
    """Whether that library can ask and read what the contract says."""
    return (
        contract.read_out in _ACTIVATIONS
        and len(contract.pieces) <= 2
        and contract.temperature == 1
        and not contract.rounded
        and not contract.framed
        and not contract.opening
        and all(part.slot != JOINT_SLOT for part in split_template(contract.asked_template))
    )


def save_chat_layout(
    folder: Path, contract: PromptContract, tokenizer: Tokenizer, pieces: Sequence[int]
) -> None:
    """Describe the model in a folder as a chain of modules, its prompt as a chat template."""
    end = tokenizer.decode([tokenizer.eos_token_id or 0]) if contract.add_eos else ""
    template = "".join(_write_jinja(contract, end))
    (folder / "chat_template.jinja").write_text(template, encoding="utf-8")
    is_head = contract.reads_head
    model: JsonObject = {
        "transformer_task": "sequence-classification" if is_head else "text-generation",
        "modality_config": {"text": _READ, "message": {**_READ, "format": "flat"}},
        "module_output_name": "scores" if is_head else "causal_logits",
    }
    parts = [ModuleEntry("Transformer", "", model)]
    if not is_head:
        numbers = {
            "true_token_id": pieces[-1],
            "false_token_id": pieces[0] if len(pieces) == 2 else None,
        }
        parts.append(ModuleEntry(LOGIT_SCORE, f"1_{LOGIT_SCORE}", numbers))
        write_json(folder / parts[-1].place / "config.json", numbers)
    says: JsonObject = {
        "model_type": "CrossEncoder",
        "activation_fn": _ACTIVATIONS[contract.read_out],
        "prompts": {},
        "default_prompt_name": None,
    }
    write_modules(ModuleFolder(str(folder), tuple(parts), says), folder)


def _write_jinja(contract: PromptContract, end: str) -> Iterator[str]:
    """The prompt as a chat template: fixed text as literals, texts as the turns of their roles."""
    trim = " | trim" if contract.stripped else ""
    slots = {role: f"{{{{ {_turn(role)}{trim} }}}}" for role in ("query", "document")}
    default = json.dumps(contract.instruction or "", ensure_ascii=False)
    slots["instruction"] = f"{{{{ {_turn('system')} | default({default}) }}}}"
    yield _literal(contract.prefix)
    for part in split_template(contract.asked_template):
        yield _literal(part.fixed)
        yield slots.get(part.slot or "", "")
    yield _literal(contract.suffix + end)


def _turn(role: str) -> str:
    return f'messages | selectattr("role", "eq", "{role}") | map(attribute="content") | first'


def _literal(text: str) -> str:
    return f"{{{{ {json.dumps(text, ensure_ascii=False)} }}}}" if text else ""
