"""Every reader of text files of others, each with a small right file and what it says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from recross.collections.collection import Collection
from recross.collections.exclusion import read_excluded
from recross.collections.files import BeirFolder, TrecFiles
from recross.command.golden import read_golden
from recross.command.parity import read_pairs
from recross.report.references import read_values
from recross.runs import Run
from recross.store import Store
from recross.text_files.trec import read_qrels
from recross.training.data.files.json_lines import JsonLines
from recross.training.data.files.teacher_run import TeacherRun
from recross.training.data.files.triples import ScoredTriples, TextTriples, Triples
from recross.training.data.leaks import find_leaks
from recross.training.data.training_data import Task

DOCUMENTS = {"d1": "a silver bridge", "d2": "candle light", "d3": "a train", "d4": "a lamp"}
QUERIES = {"q1": "bridge", "q2": "candle", "q8": "lamp", "q9": "train"}


@dataclass(frozen=True)
class Reader:
    """``read`` answers a file's path; ``good`` is what a right file holds, ``answer`` what of it.

    ``name`` is the file's. ``beside`` are further files that lie in its folder.
    """

    name: str
    read: Callable[[Path], object]
    good: str
    answer: object
    beside: Mapping[str, str] = field(default_factory=dict)

    def act(self, content: bytes | None) -> Callable[[Path], object]:
        """Read a file of this content; ``None``: of one that the caller has made."""

        def read(folder: Path) -> object:
            for name, text in self.beside.items():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_text(text, encoding="utf-8", newline="")
            if content is not None:
                (folder / self.name).parent.mkdir(parents=True, exist_ok=True)
                (folder / self.name).write_bytes(content)
            return self.read(folder / self.name)

        return read


def learn_from(kind: Callable[..., object], **arguments: object) -> Callable[[Path], object]:
    """Texts, labels and a teacher's scores of the groups that a training file makes."""
    splits = {
        "train": {"q1": {"d1": 1}, "q2": {"d2": 2}},
        "dev": {"q8": {"d4": 1}},
        "test": {"q9": {"d3": 1}},
    }
    collection = Collection(
        "toy", DOCUMENTS, QUERIES, {s: tuple(q) for s, q in splits.items()}, splits, "toy"
    )

    def read(path: Path) -> object:
        leaks = find_leaks(collection, None, ("dev", "test"))
        store = Store(path.parent / "store")
        task = Task(collection, "train", 2, 0, leaks, "leave_out", store)
        (phase,) = kind(path, **arguments).make_phases(task)
        known = phase.groups.put_texts_over(collection)
        return [
            (
                known.queries[group.query_id],
                [known.documents[doc_id] for doc_id in group.doc_ids],
                group.labels,
                group.teacher_scores,
            )
            for group in phase.groups.groups
        ]

    return read


def rankings(path: Path) -> object:
    run = Run.read(path)
    return {query_id: run.doc_ids(query_id) for query_id in run.rankings}


CORPUS = '{"_id": "d1", "title": "é", "text": "a"}\n{"_id": "d2", "text": "b"}\n'
TOPICS = '{"_id": "q1", "text": "é"}\n{"_id": "q2", "text": "b", "excluded_ids": ["d2"]}\n'
JUDGED = "query-id\tcorpus-id\tscore\nq1\td1\t1\nq2\td1\t1\n"
FOLDER = {"corpus.jsonl": CORPUS, "queries.jsonl": TOPICS, "qrels/test.tsv": JUDGED}
TABLES = {
    "docs.tsv": "d1\té\nd2\tb\n",
    "queries.tsv": "q1\té\nq2\tb\n",
    "test.qrels": "q1 0 d1 1\n",
}


def load_folder(path: Path) -> Collection:
    return BeirFolder(path.parent).load()


def load_files(path: Path) -> Collection:
    folder = path.parent
    files = (folder / "docs.tsv", folder / "queries.tsv", {"test": folder / "test.qrels"})
    return TrecFiles(*files).load()


def of_folder(name: str, answer: object, read: Callable[[Path], object], good: str = "") -> Reader:
    beside = {other: text for other, text in FOLDER.items() if other != name}
    return Reader(name, read, good or FOLDER[name], answer, beside)


def of_tables(name: str, answer: object, read: Callable[[Path], object]) -> Reader:
    beside = {other: text for other, text in TABLES.items() if other != name}
    return Reader(name, read, TABLES[name], answer, beside)


REFERENCE = "study,label,kind,measure,value,tolerance,candidates,source\n"
READERS = {
    "run": Reader("a.trec", rankings, "é Q0 d1 1 2.5 t\né Q0 d2 2 1e-3 t\n", {"é": ["d1", "d2"]}),
    "qrels": Reader("a.qrels", read_qrels, "é 0 d1 1\né 0 d2 0\n", {"é": {"d1": 1, "d2": 0}}),
    "beir qrels": Reader(
        "a.tsv",
        read_qrels,
        "query-id\tcorpus-id\tscore\né\td1\t2\né\td2\t-1\n",
        {"é": {"d1": 2, "d2": -1}},
    ),
    "corpus.jsonl": of_folder(
        "corpus.jsonl", {"d1": "é a", "d2": "b"}, lambda path: load_folder(path).documents
    ),
    "queries.jsonl": of_folder(
        "queries.jsonl", {"q1": "é", "q2": "b"}, lambda path: load_folder(path).queries
    ),
    "excluded_ids": of_folder(
        "queries.jsonl", {"q2": {"d2"}}, lambda path: load_folder(path).excluded
    ),
    "instructions.tsv": of_folder(
        "instructions.tsv",
        {"q1": "find é", "q2": "find"},
        lambda path: load_folder(path).instructions,
        "q1\tfind é\nq2\tfind\n",
    ),
    "docs.tsv": of_tables(
        "docs.tsv", {"d1": "é", "d2": "b"}, lambda path: load_files(path).documents
    ),
    "queries.tsv": of_tables(
        "queries.tsv", {"q1": "é", "q2": "b"}, lambda path: load_files(path).queries
    ),
    "excluded.tsv": Reader(
        "excluded.tsv", read_excluded, "é\td1\né\td2\n", {"é": frozenset({"d1", "d2"})}
    ),
    "triples": Reader(
        "triples.tsv",
        learn_from(Triples),
        "q1\td1\td2\nq2\td2\td3\n",
        [
            ("bridge", ["a silver bridge", "candle light"], (1.0, 0.0), None),
            ("candle", ["candle light", "a train"], (1.0, 0.0), None),
        ],
    ),
    "text triples": Reader(
        "texts.tsv",
        learn_from(TextTriples),
        "é\tyes\tno\nwhat\tthis\tthat\n",
        [("é", ["yes", "no"], (1.0, 0.0), None), ("what", ["this", "that"], (1.0, 0.0), None)],
    ),
    "scored triples": Reader(
        "scored.tsv",
        learn_from(ScoredTriples),
        "2.5\t-1e0\tq1\td1\td2\n1\t0\tq2\td2\td3\n",
        [
            ("bridge", ["a silver bridge", "candle light"], (1.0, 0.0), (2.5, -1.0)),
            ("candle", ["candle light", "a train"], (1.0, 0.0), (1.0, 0.0)),
        ],
    ),
    "json lines": Reader(
        "lines.jsonl",
        learn_from(JsonLines),
        '{"query": "é", "pos": ["yes"], "neg": ["no"]}\n{"query": "w", "pos": "a", "neg": "b"}\n',
        [("é", ["yes", "no"], (1.0, 0.0), None), ("w", ["a", "b"], (1.0, 0.0), None)],
    ),
    "teacher run": Reader(
        "teacher.trec",
        learn_from(TeacherRun),
        "q1 Q0 d1 1 2.5 t\nq1 Q0 d3 2 1.5 t\n",
        [("bridge", ["a silver bridge", "a train"], (1.0, 0.0), (2.5, 1.5))],
    ),
    "reference.csv": Reader(
        "reference.csv",
        lambda path: [(one.label, one.value) for one in read_values([path])],
        REFERENCE + "s,é,given,MRR@10,0.5,,,x\ns,b,given,MRR@10,0.25,,,x\n",
        [("é", 0.5), ("b", 0.25)],
    ),
    "golden.csv": Reader(
        "golden.csv",
        lambda path: [
            (one.query, one.score) for found in read_golden(path).values() for one in found
        ],
        "checkpoint,query,document,score,tolerance,source\nc,é,d,1.5,.1,x\nc,b,d,-2,.1,x\n",
        [("é", 1.5), ("b", -2.0)],
    ),
    "pairs.csv": Reader(
        "pairs.csv", read_pairs, "query,document\né,a\nb,c\n", [("é", "a"), ("b", "c")]
    ),
}
