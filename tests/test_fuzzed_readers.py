"""Random and mutated files: every reader answers or refuses, nothing else ever leaves it.

``make fuzz`` goes on for ten minutes with files that no earlier run has seen, and counts them.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recross.collections.collection import Collection
from recross.collections.files import BeirFolder, write_beir
from recross.errors import InputError
from recross.runs import Run
from tests.odd_inputs.encoded_and_packed import MARK, pack, squeeze, stream
from tests.odd_inputs.reading import READERS, load_folder

SECONDS = float(os.environ.get("FUZZ_SECONDS", "0")) / len(READERS)
EXAMPLES = 500 if SECONDS else 40

TOKENS = [
    *(b"\r", b"\t", b" ", b"\n", b"\r\n", b"\n\n", b",", b'"', b"\\", b"{", b"}", b"[", b"]", b":"),
    *(
        MARK,
        b"\xc2\xa0",
        b"\xe2\x80\xa8",
        b"\xc2\x85",
        b"\xe3\x80\x80",
        b"\0",
        b"\x1f\x8b",
        b"\xff",
    ),
    *(b"nan", b"inf", b"1e999", b"-1", b"1_0", b"\xd9\xa1", b"0x1", b"null", b"true", b"{}", b"[]"),
    *(b"\\ud800", b"\\u0000", b"9" * 400, b"9" * 5000, b"[" * 5000, b'{"a":' * 3000, b"score"),
    *(b'"_id"', b'"text"', b'"query"', b'"pos"', b"q1", b"d1", b"query-id\tcorpus-id\tscore\n"),
]

Change = Callable[[bytes], bytes]


def flip(at: int, bits: int) -> Change:
    def change(content: bytes) -> bytes:
        if not content:
            return content
        place = at % len(content)
        return content[:place] + bytes([content[place] ^ bits]) + content[place + 1 :]

    return change


def put(at: int, size: int, token: bytes) -> Change:
    """In place of ``size`` bytes."""

    def change(content: bytes) -> bytes:
        place = at % (len(content) + 1)
        return content[:place] + token + content[place + size :]

    return change


def move(source: int, target: int, is_copied: bool) -> Change:
    """A line to the place of another."""

    def change(content: bytes) -> bytes:
        lines = content.splitlines(keepends=True) or [b""]
        line = lines[source % len(lines)]
        if not is_copied:
            lines.remove(line)
        lines.insert(target % (len(lines) + 1), line)
        return b"".join(lines)

    return change


places = st.integers(0, 1 << 16)
changes = st.one_of(
    st.builds(flip, places, st.integers(1, 255)),
    st.builds(put, places, st.integers(0, 40), st.sampled_from(TOKENS) | st.binary(max_size=8)),
    st.builds(put, places, st.just(1 << 20), st.just(b"")),  # cut
    st.builds(move, places, places, st.booleans()),
)
packings: list[Change] = [
    bytes,
    bytes,
    bytes,
    pack,
    squeeze,
    stream,
    lambda content: MARK + content,
    lambda content: content.replace(b"\n", b"\r\n"),
]


def mutate(content: bytes, before: list[Change], packing: Change, after: list[Change]) -> bytes:
    for change in (*before, packing, *after):
        content = change(content)
    return content


def files_like(good: bytes) -> st.SearchStrategy[bytes]:
    few, at_most_one = st.lists(changes, max_size=3), st.lists(changes, max_size=1)
    packing = st.sampled_from(packings)
    mutated = st.builds(mutate, st.just(good), few, packing, at_most_one)
    barely = st.builds(mutate, st.just(good), at_most_one, packing, st.just([]))
    return mutated | barely | st.binary(max_size=300)


def check_run(path: Path) -> None:
    run = Run.read(path)
    run.write(path.with_name("again"))
    assert Run.read(path.with_name("again")) == run


def check_texts(path: Path) -> None:
    """A collection is written and read with the same texts and judgments."""
    found = load_folder(path)
    write_beir(path.with_name("again"), found)
    again = BeirFolder(path.with_name("again")).load()

    def facts(collection: Collection) -> object:
        return collection.documents, collection.queries, collection.split_qrels

    assert facts(again) == facts(found)


CHECKS = {"run": check_run, "corpus.jsonl": check_texts, "queries.jsonl": check_texts}


@pytest.mark.timeout(max(300, 2 * SECONDS))
@pytest.mark.parametrize("kind", READERS)
def test_a_file_is_read_or_refused_in_one_line(kind):
    reader, counts = READERS[kind], Counter()

    @settings(max_examples=EXAMPLES)
    @given(files_like(reader.good.encode()))
    def try_file(content: bytes) -> None:
        with tempfile.TemporaryDirectory() as folder:
            try:
                reader.act(content)(Path(folder))
                if kind in CHECKS:
                    CHECKS[kind](Path(folder) / reader.name)
            except InputError as error:
                counts["refused"] += 1
                assert str(error).strip()
                assert "\n" not in str(error)
            else:
                counts["read"] += 1

    end = time.monotonic() + SECONDS
    try_file()
    while time.monotonic() < end:
        try_file()
    assert counts["read"]
    assert counts["refused"]
    print(f"\n{kind}: {counts['read']} files read, {counts['refused']} refused", end="")  # noqa: T201
