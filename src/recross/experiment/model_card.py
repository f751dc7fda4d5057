"""The page that goes with a trained checkpoint: what it is, how it was made, how good it is."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

from recross.records import JsonObject
from recross.writing.alignment import align_table
from recross.writing.escaping import escape_markdown, format_code, format_code_block
from recross.writing.whole_files import write_whole

CARD = "README.md"
PLACE = "path/to/this/folder"
"""Stands for the checkpoint's name until it has one on a hub."""
HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
SENTENCE_TRANSFORMERS = (
    "",
    "With sentence-transformers alone:",
    "",
    "```python",
    "from sentence_transformers import CrossEncoder",
    "",
    f'CrossEncoder("{PLACE}").rank("a query", ["a document", "another"])',
    "```",
)


def write_card(checkpoint: Path, result: JsonObject, command: list[str]) -> None:
    """Write the model card into the folder of a checkpoint, from the record of its experiment."""
    contract = json.loads((checkpoint / "recross_contract.json").read_text(encoding="utf-8"))
    config = json.loads((checkpoint / "config.json").read_text(encoding="utf-8"))
    kinds = config.get("architectures") or ()
    is_classifier = any(str(kind).endswith("ForSequenceClassification") for kind in kinds)
    card = format_card(result, contract, command, is_classifier)
    write_whole(checkpoint / CARD, card, errors="backslashreplace")


def format_card(
    result: JsonObject, contract: JsonObject, command: list[str], is_classifier: bool = False
) -> str:
    """Markdown with the front matter that model hubs read; JSON is YAML, too.

    ``is_classifier`` says that sentence-transformers reads it as a ``CrossEncoder``.
    """
    training = result["training"]
    lines = [
        "---",
        f"library_name: {'sentence-transformers' if is_classifier else 'transformers'}",
        "pipeline_tag: text-ranking",
        *_name_base(str(result["base_checkpoint"])),
        f"tags: [reranking, recross{', cross-encoder' if is_classifier else ''}]",
        f"model-index: {json.dumps(_index_measures(result))}",
        "---",
        "",
        f"# {escape_markdown(result['label'])}",
        "",
        "Orders the documents of a query. Load it with its scoring contract:",
        "",
        "```python",
        "from recross import load_reranker",
        "",
        f'load_reranker("{PLACE}").score("a query", ["a document", "another"])',
        "```",
        *(SENTENCE_TRANSFORMERS if is_classifier else ()),
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
        *_tabulate_measures(result),
        "",
        "## Command",
        "",
        format_code_block(shlex.join(command)),
        "",
    ]
    return "\n".join(lines)


def _name_base(checkpoint: str) -> list[str]:
    """The base as the hub calls it; what is no id of the hub is told below, under training."""
    is_id = HUB_ID.fullmatch(checkpoint) and not Path(checkpoint).exists()
    return [f"base_model: {json.dumps(checkpoint)}"] if is_id else []


def _index_measures(result: JsonObject) -> list[JsonObject]:
    """The measures as hubs list them; a data set is called as its collection."""
    name = str(result.get("collection_name") or result["collection"]["class"])
    metrics = [
        {"type": measure.lower(), "name": measure, "value": round(value, 4)}
        for measure, value in result["measures"].items()
    ]
    dataset = {"type": re.sub(r"[^\w./-]+", "_", name), "name": name, "split": "test"}
    task = {"type": "text-ranking", "name": "Re-ranking"}
    found = {"task": task, "dataset": dataset, "metrics": metrics}
    return [{"name": str(result["label"]), "results": [found]}]


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


def _tabulate_measures(result: JsonObject) -> list[str]:
    lines = []
    for name, value in result["measures"].items():
        low, high = result["intervals"][name]
        before = result["first_stage_measures"][name]
        lines.append([name, f"{value:.4f}", f"[{low:.3f}, {high:.3f}]", f"{before:.4f}"])
    return align_table(["measure", "value", "95 % interval", "first stage alone"], lines)
