"""Odd files for the readers of runs, judgments and collections."""

from __future__ import annotations

from pathlib import Path

from recross.runs import Run
from tests.odd_inputs.odd_input import OddInput, refused


def read_run(content: bytes):
    def act(folder: Path) -> dict[str, list[str]]:
        path = folder / "odd.trec"
        path.write_bytes(content)
        run = Run.read(path)
        return {query_id: run.doc_ids(query_id) for query_id in run.rankings}

    return act


ODD_INPUTS = [
    OddInput("run: empty", read_run(b""), refused("odd.trec", "at least one line")),
    OddInput("run: five fields", read_run(b"q Q0 d 1 2\n"), refused("odd.trec:1", "6 fields")),
    OddInput(
        "run: ranks not trusted", read_run(b"q Q0 a 1 1 t\nq Q0 b 2 2 t\n"), {"q": ["b", "a"]}
    ),
]
