"""Where lines of the site may end: not within words, and not within the name of an option."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

Replace = Callable[[re.Match[str]], str]
WHOLE = '<span class="whole">\\g<0></span>'
"""Of the style sheet: it is not broken."""


def on_post_page(output: str, **_: Any) -> str:
    """The page with places where lines may end; what commands print is wrapped if no table."""
    named = re.sub(r"<code>([^<\s]+)</code>", break_name, output)
    with_paths = re.sub(r"(?s)<td[ >].*?</td>", break_paths, named)
    printed = re.sub(r'(?s)<div class="language-console .*?</div>', wrap_words, with_paths)
    return re.sub(r'(?s)<div class="language-(?:sh|bash|text) .*?</div>', keep_options, printed)


def break_name(name: re.Match[str]) -> str:
    """Code of one word, which is broken after its signs, or is the name of an option."""
    if name[1].startswith("-"):
        return f'<code class="whole">{name[1]}</code>'
    broken = re.sub(r"[_/,=@]|[.](?=[a-z])", r"\g<0><wbr>", name[1])
    return f"<code>{broken}</code>"


def break_paths(cell: re.Match[str]) -> str:
    """A cell of a table whose paths, addresses and long names may go on in a new line."""
    return replace_in_texts(r"\S+/\S+|\w{13,}", break_path, cell[0])


def break_path(path: re.Match[str]) -> str:
    """A path, or a long name, with the places where a line may end."""
    return re.sub(r"[/_](?=\w)", r"\g<0><wbr>", path[0])


def wrap_words(printed: re.Match[str]) -> str:
    """What a command printed, as a text where it has no columns that a new line would break."""
    text = re.sub(r"<[^>]*>", "", printed[0])
    if "|" in text or re.search(r"\S   +\S", text):
        return printed[0]
    return printed[0].replace("language-console", "language-text", 1)


def keep_options(commands: re.Match[str]) -> str:
    """Commands whose lines do not end between an option's hyphens and its name."""
    return replace_in_texts(r"(?<![\w-])--?[a-z][\w-]*", WHOLE, commands[0])


def replace_in_texts(pattern: str, by: str | Replace, html: str) -> str:
    """HTML with the pattern replaced outside of its tags."""
    parts = re.split(r"(<[^>]*>)", html)
    parts[::2] = [re.sub(pattern, by, text) for text in parts[::2]]
    return "".join(parts)
