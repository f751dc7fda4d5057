"""The page that goes with a trained checkpoint: what it is, how it was made, how good it is."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

from recross.records import JsonObject
from recross.writing.escaping import escape_markdown, format_code, format_code_block
from recross.writing.whole_files import write_whole

CARD = "README.md"


def write_card(checkpoint: Path, result: JsonObject, command: list[str]) -> None:
    """Write the model card into the folder of a checkpoint, from the record of its experiment."""
    contract = json.loads((checkpoint / "recross_contract.json").read_text(encoding="utf-8"))
    card = format_card(result, contract, command)
    write_whole(checkpoint / CARD, card, errors="backslashreplace")


def format_card(result: JsonObject, contract: JsonObject, command: list[str]) -> str:
    """Markdown with the front matter that model hubs read."""
    measures = [
        f"| {name} | {value:.4f} | {_say_interval(result['intervals'][name])} |"
        f" {result['first_stage_measures'][name]:.4f} |"
        for name, value in result["measures"].items()
    ]
    training = result["training"]
    lines = [
        "---",
        "library_name: transformers",
        "pipeline_tag: text-ranking",
        f"base_model: {json.dumps(result['base_checkpoint'])}",
        "tags: [reranking, recross]",
        "---",
        "",
        f"# {escape_markdown(result['label'])}",
        "",
        "Orders the documents of a query. Load it with its scoring contract:",
        "",
        "```python",
        "from recross import load_reranker",
        "",
        'load_reranker("path/to/this/folder").score("a query", ["a document", "another"])',
        "```",
        "",
        "## Contract",
        "",
        *_list_values(contract),
        "",
        "## Training",
        "",
        f"- base: {_say_part(result['reranker'])}",
        f"- collection: {_say_part(result['collection'])}",
        f"- candidates: {_say_part(result['retriever'])}",
        f"- training data: {_say_part(result['training_data'])}",
        f"- loss: {_say_part(result['loss'])}",
        f"- recipe: {_say_part(result['recipe'])}",
        f"- seed: {result['seed']}, precision: {result['precision']}",
        f"- {training['steps']} steps, {training['pairs']} pairs,"
        f" {training['seconds']:.0f} seconds, best checkpoint at step {training['best_step']}",
        "",
        "## Measures",
        "",
        f"Test split, the best {result['depth']} candidates of each of"
        f" {result['queries']['asked']} queries re-ranked.",
        "",
        "| measure | value | 95 % interval | first stage alone |",
        "|---|---:|---|---:|",
        *measures,
        "",
        "## Command",
        "",
        format_code_block(shlex.join(command)),
        "",
    ]
    return "\n".join(lines)


def _say_part(part: JsonObject) -> str:
    """A part in one line: its class and the values that make it what it is."""
    return f"`{part['class']}` {_say_values(part)}"


def _say_values(part: JsonObject) -> str:
    values = {key: value for key, value in part.items() if key != "class" and value is not None}
    return ", ".join(f"{key} {escape_markdown(json.dumps(value))}" for key, value in values.items())


def _list_values(values: JsonObject) -> list[str]:
    return [
        f"- {key}: {format_code(json.dumps(value))}"
        for key, value in values.items()
        if value not in ("", [])
    ]


def _say_interval(bounds: tuple[float, float]) -> str:
    return f"[{bounds[0]:.3f}, {bounds[1]:.3f}]"
