"""Docstrings of Python sources, read by processes that run this file and nothing else.

Imports the standard library alone, so that a process that runs this file as a script starts at
once. The caller's main module is never run again, as it is in a pool of spawned processes.
"""

from __future__ import annotations

import ast
import json
import subprocess
import sys
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

Source = tuple[str, str]
"""A module's name and the path of its file."""


class Entry(NamedTuple):
    """A documented public name, with the summary and the body of its docstring."""

    name: str
    summary: str
    body: str


def harvest(sources: Sequence[Source], processes: int) -> list[Entry]:
    """Every documented public name of the sources, in their order, read by several processes."""
    if not sources:
        return []
    processes = min(processes, len(sources))
    shares = [sources[number::processes] for number in range(processes)]
    with ExitStack() as stack, ThreadPoolExecutor(processes) as pool:
        started = [stack.enter_context(_start()) for _ in shares]
        try:
            results = list(pool.map(_ask, started, shares))
        except BaseException:  # an interruption, too: nobody waits for what is no longer wanted
            for process in started:
                process.kill()
            raise
    files = (results[number % processes][number // processes] for number in range(len(sources)))
    return [Entry(*entry) for entries in files for entry in entries]


def read_docstrings(module: str, source: str) -> Iterator[Entry]:
    """Documented public names of one module's source text."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # invalid escapes in other people's docstrings
        tree = ast.parse(source)
    yield from _walk(module, tree)


def _walk(prefix: str, node: ast.AST) -> Iterator[Entry]:
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        if child.name.startswith("_"):
            continue
        name = f"{prefix}.{child.name}"
        if documentation := ast.get_docstring(child):
            summary, _, body = documentation.partition("\n\n")
            yield Entry(name, " ".join(summary.split()), " ".join(body.split()))
        if isinstance(child, ast.ClassDef):
            yield from _walk(name, child)


def _entries_of_file(module: str, path: str) -> list[Entry]:
    try:
        entries = list(read_docstrings(module, Path(path).read_text(encoding="utf-8")))
    except (SyntaxError, ValueError, RecursionError):  # templates and fixtures: no Python, no text
        return []
    return [entry for entry in entries if _is_whole("".join(entry))]


def _is_whole(text: str) -> bool:
    """Whether it holds whole characters alone: an escape may write a half, a lone surrogate."""
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)


def _start() -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-I", __file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        encoding="ascii",
        process_group=0,  # the parent is interrupted, and ends this one
    )


def _ask(process: subprocess.Popen[str], sources: Sequence[Source]) -> list[list[list[str]]]:
    """The entries of each source as JSON has them, read by a process of its own."""
    said, _ = process.communicate(json.dumps(sources))
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, process.args)
    entries: list[list[list[str]]] = json.loads(said)
    return entries


if __name__ == "__main__":
    json.dump([_entries_of_file(*source) for source in json.load(sys.stdin)], sys.stdout)
