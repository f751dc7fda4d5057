"""Answers that were paid for, kept in a file, so that an interrupted run goes on where it was."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from recross.artefacts.locks import hold_alone


@dataclass(frozen=True)
class KeptAnswer:
    """What a model wrote, and the tokens it took; ``None`` where the server did not say.

    ``first_tokens`` are log-probabilities of what its first token might have been, if asked for.
    """

    text: str
    prompt_tokens: int | None
    generated_tokens: int | None
    first_tokens: Mapping[str, float] | None = None


class KeptAnswers:
    """Answers by key in a file of JSON lines that is only ever added to, by any thread or process.

    A line that was cut off when a process was killed is passed over.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._answers = dict(self._read())

    def get(self, key: str) -> KeptAnswer | None:
        """The answer of a key, if there is one."""
        return self._answers.get(key)

    def add(self, key: str, answer: KeptAnswer) -> None:
        """Keep an answer; it is in the file when this returns."""
        line = (
            json.dumps({"key": key, **asdict(answer)}) + "\n"
        )  # in ASCII: half a surrogate pair passes
        self._path.parent.mkdir(parents=True, exist_ok=True)
        lock = self._path.with_suffix(".lock")
        with self._lock, hold_alone(lock, ""), self._path.open("ab+") as file:
            if file.tell() and not _ends_a_line(self._path):
                file.write(b"\n")
            file.write(line.encode())
        self._answers[key] = answer

    def _read(self) -> Iterator[tuple[str, KeptAnswer]]:
        if not self._path.is_file():
            return
        with self._path.open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                try:
                    fields = json.loads(line)
                    yield fields.pop("key"), KeptAnswer(**fields)
                except (ValueError, KeyError, TypeError, AttributeError):
                    continue


def _ends_a_line(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, 2)
        return file.read(1) == b"\n"
