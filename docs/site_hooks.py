"""Pages of the site that are made from what is elsewhere: options, contracts, files, notebooks."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

from recross.command.catalogue import (
    find_config_folder,
    group_options_by_checkpoint,
    list_options,
    read_summary,
)
from recross.report.tables.contracts_table import format_contracts

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"

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

WIDE = "---\nhide: [toc]\n---"
"""Of a page whose tables or code need the place of the list of its headings."""

COPIED = {
    "quality_latency.png": "experiments/performance_table/quality_latency.png",
    "reference/outputs.md": "outputs/README.md",
    "contributing.md": "CONTRIBUTING.md",
}
"""Files of the site that lie outside of ``docs/``."""


def on_config(config: Any) -> Any:
    """Put every page that the navigation does not name where its folder belongs; and the groups."""
    sections = {title: pages for entry in config.nav for title, pages in entry.items()}
    for title, folder in (("Tutorials", "tutorials"), ("How to", "how_to")):
        sections[title] += find_unnamed(
            folder, [p for page in sections[title] for p in page.values()]
        )
    place = next(place for place, entry in enumerate(config.nav) if "How to" in entry)
    config.nav[place:place] = find_unnamed(".", list(COPIED) + list(list_paths(config.nav)))
    groups = [{group: f"reference/options/{group}.md"} for group in list_groups()]
    reference = sections["Reference"]
    place = next(place for place, page in enumerate(reference) if "Options" in page)
    reference[place] = {"Options": [{"All groups": "reference/options.md"}, *groups]}
    return config


def list_paths(entries: Sequence[Any]) -> Iterator[str]:
    """Every path of a navigation, those in its sections, too."""
    for entry in entries:
        match entry:
            case dict():
                yield from list_paths([*entry.values()])
            case list():
                yield from list_paths(entry)
            case path:
                yield path


def find_unnamed(folder: str, named: Sequence[object]) -> list[str]:
    """The pages that lie in a folder of ``docs/`` itself, but for those named."""
    found = (page.relative_to(DOCS).as_posix() for page in sorted((DOCS / folder).glob("*.md")))
    return [path for path in found if path not in named]


def on_files(files: Files, config: Any) -> Files:
    """Add the generated pages, and the files of the checkout that the pages show."""
    made = {
        "reference/options.md": groups_page(),
        "reference/contracts.md": contracts_page(),
        **{f"reference/options/{group}.md": options_page(group) for group in list_groups()},
        **{
            notebook.relative_to(DOCS).with_suffix(".md").as_posix(): notebook_page(notebook)
            for notebook in sorted(DOCS.rglob("*.ipynb"))
        },
    }
    for path, content in made.items():
        files.append(File.generated(config, path, content=content))
    for path, source in COPIED.items():
        files.append(File.generated(config, path, abs_src_path=str(ROOT / source)))
    return files


def list_groups() -> list[str]:
    """The groups of ``conf/``, those first that an experiment is made of."""
    return [*GROUPS, *sorted(list_options().keys() - GROUPS.keys())]


def groups_page() -> str:
    """The groups with their meaning, the number of their options, and the first of them."""
    lines = ["# Every option", "", PREFACE, "", "| group | what it is | options |", "|---|---|---|"]
    for group in list_groups():
        names = list_options()[group]
        shown = ", ".join(f"`{name}`" for name in names[:6]) + (", ..." if names[6:] else "")
        said = GROUPS.get(group, "")
        lines.append(f"| [`{group}`](options/{group}.md) | {said} | {len(names)}: {shown} |")
    return "\n".join(lines)


def options_page(group: str) -> str:
    """All options of a group: what each is, and its file."""
    names = list_options()[group]
    lines = [f"# {group}", "", GROUPS.get(group, ""), ""]
    lines += ["| option | what it is |", "|---|---|"]
    lines += [
        f"| [`{name}`](#{anchor(group, name)}) | {read_summary(group, name)} |" for name in names
    ]
    for name in names:
        text = (find_config_folder() / group / f"{name}.yaml").read_text(encoding="utf-8")
        lines += ["", f"## {group}={name} {{ #{anchor(group, name)} }}", ""]
        lines += ["```yaml", text.rstrip(), "```"]
    return "\n".join(lines)


def notebook_page(notebook: Path) -> str:
    """A notebook as a page: its texts, its code, and what the code printed, tables as tables."""
    parts = [WIDE]
    for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]:
        source = "".join(cell["source"])
        parts.append(source if cell["cell_type"] == "markdown" else f"```python\n{source}\n```")
        for output in cell.get("outputs", []):
            printed = re.sub(r"\[[^]]*\]", keep_together, "".join(output["text"]).rstrip())
            parts.append(printed if printed.startswith("|") else f"```text\n{printed}\n```")
    return "\n\n".join(parts)


def keep_together(found: re.Match[str]) -> str:
    """What a line is not to end in."""
    return found[0].replace(" ", "\u00a0")


def contracts_page() -> str:
    """The table that ``recross contracts`` prints."""
    intro = (
        "What published checkpoints are asked, how their answer is read, and what others measured."
    )
    table = format_contracts(group_options_by_checkpoint())
    return f"{WIDE}\n\n# Published checkpoints\n\n{intro}\n\n{table}"


def anchor(group: str, name: str) -> str:
    """The address of an option within the page."""
    return f"{group}-{name}".replace("/", "-").replace("_", "-")
