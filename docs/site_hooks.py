"""Pages of the site that are made from the code: every option, and every published contract."""

from __future__ import annotations

from typing import Any

from mkdocs.structure.files import File, Files

from recross.command.catalogue import (
    find_config_folder,
    group_options_by_checkpoint,
    list_options,
    read_summary,
)
from recross.report.tables.contracts_table import format_contracts

GROUPS = {
    "collection": "Texts and judgments.",
    "retriever": "The first stage: who finds the candidates.",
    "reranker": "The second stage: who orders them.",
    "training_data": "Where training groups come from.",
    "negatives": "What a network learns to rank below the relevant documents.",
    "loss": "What training minimises.",
    "teacher": "Who scores the groups for losses that learn from a teacher.",
    "training": "How, or whether, the re-ranker is trained.",
    "trained": "A checkpoint as the result of a training: `+trained@reranker.checkpoint=NAME`.",
    "hardware": "What it runs on.",
    "cache": "Where scores are kept.",
    "generator": "Who writes answers for a re-ranker: `generator@reranker.generator=NAME`.",
    "dialect": "How a server is asked for scores: `dialect@reranker.dialect=NAME`.",
    "strategy": "Which pairs a duo model compares: `strategy@reranker.strategy=NAME`.",
    "tracking": "Where curves and records go.",
    "row": "A row of a study's table, where it differs in more than one choice.",
    "experiment": "A named study, mostly a sweep.",
}

PREFACE = (
    "One folder of `conf/` per group, one file per option: a class and its arguments, or the "
    "difference from the option in its `defaults`. "
    "[How configs compose here](../how_to/configs.md) explains the four mechanisms."
)


def on_files(files: Files, config: Any) -> Files:
    """Add the generated pages."""
    files.append(File.generated(config, "reference/options.md", content=options_page()))
    files.append(File.generated(config, "reference/contracts.md", content=contracts_page()))
    return files


def options_page() -> str:
    """One section per group, one block per option."""
    lines = ["# Every option", "", PREFACE, ""]
    found = list_options()
    for group in [*GROUPS, *sorted(found.keys() - GROUPS.keys())]:
        names = found[group]
        lines += [f"## {group}", "", GROUPS.get(group, ""), ""]
        lines += ["| option | what it is |", "|---|---|"]
        lines += [
            f"| [`{name}`](#{anchor(group, name)}) | {read_summary(group, name)} |"
            for name in names
        ]
        lines.append("")
        for name in names:
            text = (find_config_folder() / group / f"{name}.yaml").read_text(encoding="utf-8")
            lines += [f"### {group}={name} {{ #{anchor(group, name)} }}", ""]
            lines += ["```yaml", text.rstrip(), "```", ""]
    return "\n".join(lines)


def contracts_page() -> str:
    """The table that ``recross contracts`` prints."""
    intro = (
        "What published checkpoints are asked, how their answer is read, and what others measured."
    )
    return (
        f"# Published checkpoints\n\n{intro}\n\n{format_contracts(group_options_by_checkpoint())}"
    )


def anchor(group: str, name: str) -> str:
    """The address of an option within the page."""
    return f"{group}-{name}".replace("/", "-").replace("_", "-")
