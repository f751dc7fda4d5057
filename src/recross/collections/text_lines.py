"""Texts of documents or queries, one a line: objects of JSON, or identifier, tab, text."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from recross.errors import InputError
from recross.text_files.json_records import (
    Record,
    is_json_line,
    name_keys,
    parse_record,
    read_id,
    read_text,
)
from recross.text_files.lines import find_line, parse_lines, read_lines
from recross.text_files.values import check_id

logger = logging.getLogger(__name__)

IDS = ("_id", "id", "doc_id", "query_id")
BEIR_TEXT = "text"
OTHER_TEXTS = ("contents", "content", "query")
"""What Anserini and pyserini, and BRIGHT, call a text."""


class IdentifiedText(NamedTuple):
    """A text and its identifier; ``key`` is what a record of JSON calls the text."""

    identifier: str
    text: str
    key: str = BEIR_TEXT


def read_text_file(path: Path) -> dict[str, str]:
    """Read all texts of a file; its first line says whether lines are JSON or apart by tabs.

    Raises:
        InputError: the file is missing or empty, a line is malformed, or an identifier comes twice.
    """
    parse = choose_parser(path)
    texts: dict[str, str] = {}
    keys: set[str] = set()
    for line, (identifier, text, key) in parse_lines(path, parse):
        if identifier in texts:
            raise InputError(f"{path}:{line.number}: {say_twice(path, parse, identifier)}")
        texts[identifier] = text
        keys.add(key)
    if not texts:
        raise InputError(f"file must hold at least one text, got none in {str(path)!r}")
    for key in sorted(keys - {BEIR_TEXT}):
        logger.info("%s: texts are what its lines call %r", path, key)
    return texts


def choose_parser(path: Path) -> Callable[[str], IdentifiedText]:
    """What reads a line of the file, as its first line says.

    Raises:
        InputError: the file is missing, or its first line is no text.
    """
    return parse_json_text if is_json_file(path) else parse_tab_text


def is_json_file(path: Path) -> bool:
    """Whether the first line of a file begins an object of JSON.

    Raises:
        InputError: the file is missing, or its first line is no text.
    """
    first = next(read_lines(path), None)
    return first is not None and is_json_line(first.text)


def parse_json_text(line: str) -> IdentifiedText:
    """Read a text with its title, apart by a blank, and its identifier from an object of JSON.

    Raises:
        InputError: the line is no such object.
    """
    record = parse_record(line)
    identifier, key = read_id(record, IDS), _find_text_key(record)
    text = read_text(record, key)
    if key == BEIR_TEXT and record.get("title") is not None:
        text = " ".join(part for part in (read_text(record, "title"), text) if part)
    return IdentifiedText(identifier, text, key)


def parse_tab_text(line: str) -> IdentifiedText:
    """Read ``identifier <tab> text``; further tabs are in the text.

    Raises:
        InputError: there is no tab, or no fit identifier before it.
    """
    identifier, tab, text = line.partition("\t")
    if not tab:
        raise InputError(f"expected identifier, tab, text, got {line[:40]!r}")
    return IdentifiedText(check_id(identifier), text)


def read_instructions(
    topics: Path, told: Sequence[Path], queries: Mapping[str, str]
) -> dict[str, str]:
    """Read what is wanted of queries, from their own lines and from files of instructions.

    A blank instruction is none.

    Raises:
        InputError: a line is malformed, or names an unknown query.
    """
    found: dict[str, str] = {}
    if is_json_file(topics):
        found = {
            read_id(record, IDS): read_text(record, "instruction")
            for _, record in parse_lines(topics, _parse_instructed)
            if record.get("instruction")
        }
    for path in told:
        for query_id, text in read_text_file(path).items():
            if query_id not in queries:
                raise InputError(f"{path} must name known queries, got {query_id!r}")
            found[query_id] = text
    return {query_id: text for query_id, text in found.items() if text.strip()}


def say_twice(path: Path, parse: Callable[[str], IdentifiedText], identifier: str) -> str:
    """That an identifier comes again, and the line where it came first."""
    first = find_line(path, parse, lambda one: one.identifier == identifier)
    return f"identifiers must be unique, got {identifier!r:.60} again, as in line {first}"


def _parse_instructed(line: str) -> Record:
    record = parse_record(line)
    if record.get("instruction") is not None:
        read_text(record, "instruction")
    return record


def _find_text_key(record: Record) -> str:
    if BEIR_TEXT in record:
        return BEIR_TEXT
    found = [key for key in OTHER_TEXTS if key in record]
    if len(found) != 1:
        which = "a text" if not found else "one text alone"
        raise InputError(
            f"expected {which} under {', '.join((BEIR_TEXT, *OTHER_TEXTS))},"
            f" got the keys {name_keys(record)}"
        )
    return found[0]
