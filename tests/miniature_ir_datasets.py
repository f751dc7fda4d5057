"""A home of ir_datasets in miniature: the files it keeps, with its names, in its formats.

ir_datasets reads $IR_DATASETS_HOME when it is imported, so that conftest sets it once. Files are
placed where it looks before any download: archives at their place in the home (it checks their
sums only while it downloads), and what it extracts from larger archives (``ms.run``).
"""

from __future__ import annotations

import gzip
import io
import json
import tarfile
import zipfile
from pathlib import Path

from tests.conftest import ANIMALS, COLOURS

# Every passage by its number; the last one has MS MARCO's broken encoding, which is mended.
PASSAGES = {
    str(number): f"here lives a {colour} {animal}"
    for number, (colour, animal) in enumerate((c, a) for c in COLOURS for a in ANIMALS)
} | {"96": "here lives a caf\u00c3\u00a9 cat"}
TRAIN = {"1001": "red cat", "1002": "blue dog", "1003": "never judged"}
DEV = {"2001": "green owl", "2002": "white fox", "2003": "black bee"}
DL19 = {"3001": "brown ant", "3002": "grey eel", "3003": "never judged"}
DL20 = {"4001": "pink cow", "4002": "red hen"}


def passage_of(query: str) -> str:
    """The passage that names both words of a query."""
    return next(p for p, text in PASSAGES.items() if text.endswith(query))


def write_home(home: Path) -> None:
    """Write MS MARCO passages with TREC DL 2019 and 2020, and BEIR's SciFact."""
    _write_msmarco(home / "msmarco-passage")
    _write_scifact(home / "beir" / "scifact")


def write_nano(home: Path, name: str, judged: dict[str, list[str]]) -> None:
    """Write a set of NanoBEIR over the passages: what is relevant to queries, all of JSON lines.

    ir_datasets expects parquet here, so its ``parquet_iter`` must be replaced by ``read_lines``.
    """
    contents: dict[str, list[dict[str, object]]] = {
        "corpus": [{"_id": p, "text": text} for p, text in PASSAGES.items()],
        "queries": [{"_id": q, "text": text} for q, text in (TRAIN | DEV).items() if q in judged],
        "qrels": [{"query-id": q, "corpus-id": p} for q, found in judged.items() for p in found],
    }
    for part, records in contents.items():
        lines = "".join(map(_json_line, records))
        _write(home / "nano-beir" / name / f"{part}.parquet", lines)


def read_lines(path: str) -> list[dict[str, str]]:
    """What ``parquet_iter`` reads, of JSON lines."""
    return [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines()]


def _write_msmarco(root: Path) -> None:
    dev = "".join(f"{q}\t0\t{passage_of(text)}\t1\n" for q, text in DEV.items())
    train = "".join(
        f"{q}\t0\t{passage_of(text)}\t1\n" for q, text in TRAIN.items() if text != "never judged"
    )
    _tar(
        root / "collectionandqueries.tar.gz",
        {
            "collection.tsv": _lines(PASSAGES),
            "queries.dev.small.tsv": _lines(DEV),
            "qrels.dev.small.tsv": dev,
        },
    )
    _tar(root / "queries.tar.gz", {"queries.train.tsv": _lines(TRAIN)})
    _write(root / "train" / "qrels", train)
    _write(root / "dev" / "ms.run", _candidates(DEV, 20))
    for year, queries in (("2019", DL19), ("2020", DL20)):
        folder = root / f"trec-dl-{year}"
        # grade 3 for the passage, 1 and 0 for two other candidates
        asked = [(q, int(passage_of(t))) for q, t in queries.items() if t != "never judged"]
        grades = {0: 3, 7: 1, 14: 0}
        judged = [(q, (p + step) % 97, grade) for q, p in asked for step, grade in grades.items()]
        _write(folder / "qrels", "".join(f"{q} Q0 {p} {grade}\n" for q, p, grade in judged))
        _write(folder / "ms.run", _candidates(queries, 12))
    _write(root / "trec-dl-2019" / "queries.tsv", _lines(DL19))
    with gzip.open(root / "trec-dl-2020" / "queries.tsv.gz", "wt", encoding="utf-8") as file:
        file.write(_lines(DL20))


def _write_scifact(root: Path) -> None:
    documents = [
        {"_id": f"s{p}", "title": f"Title {p}", "text": text, "metadata": {}}
        for p, text in PASSAGES.items()
    ]
    queries = [{"_id": q, "text": text, "metadata": {}} for q, text in (TRAIN | DEV).items()]
    head = "query-id\tcorpus-id\tscore\n"
    root.mkdir(parents=True)
    with zipfile.ZipFile(root / "source.zip", "w") as archive:
        archive.writestr("scifact/corpus.jsonl", "".join(map(_json_line, documents)))
        archive.writestr("scifact/queries.jsonl", "".join(map(_json_line, queries)))
        for split, own in (("train", TRAIN), ("test", DEV)):
            lines = (f"{q}\ts{passage_of(t)}\t1\n" for q, t in own.items() if t != "never judged")
            archive.writestr(f"scifact/qrels/{split}.tsv", head + "".join(lines))


def _candidates(queries: dict[str, str], number: int) -> str:
    """Lines of ``ms.run``: no rank, no score, in no order; the relevant passage is among them."""
    lines = []
    for query_id, text in queries.items():
        first = 0 if text == "never judged" else int(passage_of(text))
        lines += [f"{query_id}\t{(first + 7 * step) % 97}\n" for step in reversed(range(number))]
    return "".join(lines)


def _lines(texts: dict[str, str]) -> str:
    return "".join(f"{key}\t{text}\n" for key, text in texts.items())


def _json_line(record: dict[str, object]) -> str:
    return json.dumps(record) + "\n"


def _tar(path: Path, members: dict[str, str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as archive:
        for name, text in members.items():
            content = text.encode()
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
