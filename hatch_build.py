"""The description of a built package: README, whose links lead to the repository from anywhere."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

LINK = re.compile(r"(?P<image>!?)\[(?P<text>[^\]]*)\]\((?!https?:|#)(?P<path>[^)\s]+)\)")
SOURCE = re.compile(r"(?P<before><img\b[^>]*\bsrc=\")(?!https?:)(?P<path>[^\"]+)")


class AbsoluteLinks(MetadataHookInterface):
    """Sets ``readme``: a link within the checkout becomes one into ``project.urls.Repository``."""

    PLUGIN_NAME = "custom"

    def update(self, metadata: dict[str, Any]) -> None:
        """Put the rewritten README into the metadata."""
        text = Path(self.root, "README.md").read_text(encoding="utf-8")
        links = make_links_absolute(text, metadata["urls"]["Repository"])
        metadata["readme"] = {"content-type": "text/markdown", "text": links}


def make_links_absolute(text: str, repository: str) -> str:
    """Every relative link or image of a text in Markdown as one into a repository's main branch."""

    def replace(link: re.Match[str]) -> str:
        kind = "raw" if link["image"] else "blob"
        return f"{link['image']}[{link['text']}]({repository}/{kind}/main/{link['path']})"

    return SOURCE.sub(rf"\g<before>{repository}/raw/main/\g<path>", LINK.sub(replace, text))
