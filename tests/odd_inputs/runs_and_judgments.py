"""Odd lines of runs and of judgments."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from recross.runs import Run
from recross.text_files.trec import read_qrels
from tests.odd_inputs.odd_input import OddInput, refused
from tests.odd_inputs.reading import rankings


def read(text: str, reader: Callable[[Path], object]) -> Callable[[Path], object]:
    def act(folder: Path) -> object:
        path = folder / "odd"
        path.write_text(text, encoding="utf-8", newline="")
        return reader(path)

    return act


def scores(path: Path) -> object:
    """Scores of the only query's documents, best first."""
    (ranking,) = Run.read(path).rankings.values()
    return [doc.score for doc in ranking]


def written_and_read(path: Path) -> object:
    run = Run.read(path)
    run.write(path.with_name("again"))
    return Run.read(path.with_name("again")) == run


def writing(query_id: str, doc_id: str) -> Callable[[Path], object]:
    def act(folder: Path) -> object:
        Run.from_scores("x", {query_id: {doc_id: 1.0}}).write(folder / "run")
        return (folder / "run").read_text(encoding="utf-8")

    return act


def run(score: str) -> str:
    return f"q Q0 a 1 {score} t\n"


NUMBERS = {
    "1": 1.0,
    "+1.5": 1.5,
    ".5": 0.5,
    "5.": 5.0,
    "-0": 0.0,
    "1e-3": float.fromhex("0x1.0624dep-10"),
    "1E2": 100.0,
    "007": 7.0,
    "1e-50": 0.0,
    "3.4028235e38": float.fromhex("0x1.fffffep+127"),
    "0." + "3" * 500: float.fromhex("0x1.555556p-2"),
    "9" * 20: 1.0000000200408773e20,
}
WORDS_OF_NO_NUMBER = "nan NaN inf -inf Infinity 1_0 0x1 1e 1,5 1e400 -1e400 --1 1e5.5 true 1e_5"
OTHER_DIGITS = "١٢ １２ ½ 1٫5 −1"
NO_NUMBERS = [
    *WORDS_OF_NO_NUMBER.split(),
    *OTHER_DIGITS.split(),
    *("1\xa0", "\u200b1", "9" * 400, "1\x0b", "\x1c1", "1\r"),
]
TOO_LARGE = ["3.5e38", "-1e39", "8" * 40]

GRADES = {"0": 0, "1": 1, "+2": 2, "-1": -1, "-2": -2, "007": 7, "10000": 10_000}
WORDS_OF_NO_GRADE = "1.0 1_0 yes nan ١ １ 1e2 0x1 1. -- + ² -"
NO_GRADES = [*WORDS_OF_NO_GRADE.split(), "1\xa0", "9" * 30, "1\r\r"]
GRADES_BEYOND = ["10001", "-3", "2147483647", "2147483648", "-2147483649", "9" * 20]

UNFIT = {
    "a non-breaking blank": "a\xa0b",
    "a full-width blank": "a\u3000b",
    "a line separator": "a\u2028b",
    "a next line": "a\x85b",
    "a carriage return": "a\rb",
    "a form feed": "a\x0cb",
    "a vertical tab": "a\x0bb",
    "a control character": "a\x01b",
    "a delete": "a\x7fb",
    "a byte order mark": "\ufeffa",
}
FIT = {
    "an emoji of two": "👩\u200d🔬",
    "a zero-width joiner": "می\u200cخواهم",
    "a combining accent": "e\u0301",
    "a private character": "\ue000",
    "quotes": "\"a'",
    "a slash and a hash": "http://a/b#c?d=e",
    "a backslash": "a\\tb",
    "a brace": "{a}",
    "ten thousand characters": "x" * 10_000,
    "the text null": "null",
}

ODD_INPUTS = [
    *(OddInput(f"run: score {n!r:.20}", read(run(n), scores), [v]) for n, v in NUMBERS.items()),
    *(
        OddInput(
            f"run: score {n!r:.30}",
            read("q Q0 b 1 1 t\n" + run(n), scores),
            refused("odd:2: score must be a finite number, got"),
        )
        for n in NO_NUMBERS
    ),
    *(
        OddInput(f"run: score {n!r:.30}", read(run(n), scores), refused("odd:1: ", "single"))
        for n in TOO_LARGE
    ),
    *(
        OddInput(f"qrels: grade {n!r:.30}", read(f"q 0 a {n}\n", read_qrels), {"q": {"a": grade}})
        for n, grade in GRADES.items()
    ),
    *(
        OddInput(
            f"qrels: grade {n!r:.30}",
            read(f"q 0 b 1\nq 0 a {n}\n", read_qrels),
            refused("odd:2: relevance must be a whole number, got"),
        )
        for n in NO_GRADES
    ),
    *(
        OddInput(
            f"qrels: grade {n!r:.30}",
            read(f"q 0 a {n}\n", read_qrels),
            refused("odd:1: relevance must be a whole number from -2 to 10000, got"),
        )
        for n in GRADES_BEYOND
    ),
    *(
        OddInput(
            f"{kind}: {what} in the {column}",
            read(
                line.format(**{"query": "q", "document": "d", "tag": "t"} | {column: odd}), reader
            ),
            refused("odd:1: ", f"{column} must hold no blanks", "got"),
        )
        for kind, line, reader, columns in (
            ("run", "{query} Q0 {document} 1 1 {tag}\n", rankings, ("query", "document", "tag")),
            ("qrels", "{query} 0 {document} 1\n", read_qrels, ("query", "document")),
        )
        for column in columns
        for what, odd in UNFIT.items()
        if not (what == "a byte order mark" and column == "query")  # at the start of a file
    ),
    *(
        OddInput(f"run: {what} as an id", read(f"{odd} Q0 {odd} 1 1 t\n", rankings), {odd: [odd]})
        for what, odd in FIT.items()
    ),
    *(
        OddInput(
            f"run: {what} is written as it was",
            read(f"q Q0 {odd} 1 1 {odd}\n", written_and_read),
            True,
        )
        for what, odd in FIT.items()
    ),
    OddInput("run: blanks around", read("  q \t Q0\td  1 2 t \t\n", rankings), {"q": ["d"]}),
    OddInput("run: a rank that is none", read("q Q0 d first 2 t\n", rankings), {"q": ["d"]}),
    OddInput("run: any second column", read("q 0 d 1 2 t\n", rankings), {"q": ["d"]}),
    OddInput(
        "run: no tag", read("q Q0 d 1 2\n", rankings), refused("odd:1: expected 6 fields, got 5")
    ),
    OddInput("run: seven fields", read("q Q0 d 1 2 t u\n", rankings), refused("6 fields, got 7")),
    OddInput("run: blank lines alone", read("\n \t\n\r\n", rankings), refused("at least one line")),
    OddInput("run: a mark alone", read("\ufeff", rankings), refused("at least one line")),
    OddInput(
        "run: no line breaks but \\r",
        read("q Q0 a 1 1 t\rq Q0 b 2 0 t", rankings),
        refused("odd:1: ", "6 fields"),
    ),
    OddInput(
        "run: tags of two runs", read("q Q0 a 1 1 t\nq Q0 b 2 0 u\n", rankings), {"q": ["a", "b"]}
    ),
    OddInput(
        "run: one line twice", read("q Q0 a 1 1 t\nq Q0 b 2 0 t\n" * 2, rankings), {"q": ["a", "b"]}
    ),
    OddInput(
        "run: two scores of a document",
        read("q Q0 a 1 1 t\nq Q0 b 2 0 t\n\nq Q0 a 3 0.5 t\n", rankings),
        refused("odd:4: document 'a' twice for 'q'", "0.5", "in line 1, 1.0"),
    ),
    OddInput(
        "run: a document of two queries",
        read("q Q0 a 1 1 t\nr Q0 a 1 1 t\n", rankings),
        {"q": ["a"], "r": ["a"]},
    ),
    OddInput(
        "run: queries in pieces",
        read("q Q0 a 1 1 t\nr Q0 a 1 1 t\nq Q0 b 2 2 t\n", rankings),
        {"q": ["b", "a"], "r": ["a"]},
    ),
    OddInput(
        "run: ties",
        read("q Q0 a 1 1 t\nq Q0 c 2 1 t\nq Q0 b 3 1 t\n", rankings),
        {"q": ["c", "b", "a"]},
    ),
    OddInput(
        "run: a mark in the middle",
        read("q Q0 a 1 1 t\n\ufeffq Q0 b 1 1 t\n", rankings),
        refused("odd:2: query must hold no blanks"),
    ),
    OddInput(
        "run: judgments", read("q 0 a 1\n", rankings), refused("odd:1: expected 6 fields, got 4")
    ),
    OddInput(
        "run: non-breaking blanks for blanks",
        read("q\xa0Q0\xa0d\xa01\xa02\xa0t\n", rankings),
        refused("expected 6 fields, got 1"),
    ),
    *(
        OddInput(
            f"run: written with {what} in an id", writing(*ids), refused("must hold no blanks")
        )
        for what, odd in {**UNFIT, "a blank": "a b", "half a character": "a\ud800"}.items()
        for ids in ([(odd, "d")] if "blank" in what else [("q", odd)])
    ),
    OddInput(
        "run: written with an empty document",
        writing("q", ""),
        refused("document must not be empty"),
    ),
    OddInput(
        "run: written with an empty query", writing("", "d"), refused("query must not be empty")
    ),
    OddInput(
        "qrels: one judgment twice",
        read("q 0 a 1\nq 0 b 0\nq 0 a 1\n", read_qrels),
        {"q": {"a": 1, "b": 0}},
    ),
    OddInput(
        "qrels: judgments that contradict each other",
        read("q 0 b 1\nq 0 a 1\nr 0 a 2\nq 0 a 0\n", read_qrels),
        refused("odd:4: 'a' must be judged once for 'q', got the relevance 0, unlike in line 2"),
    ),
    OddInput(
        "qrels: a header in the middle",
        read("q\ta\t1\nquery-id\tcorpus-id\tscore\n", read_qrels),
        refused("odd:2: a header must be the first line"),
    ),
    OddInput(
        "qrels: two headers",
        read("query-id\tcorpus-id\tscore\n" * 2 + "q\ta\t1\n", read_qrels),
        refused("odd:2: a header must be the first line"),
    ),
    OddInput(
        "qrels: a header after blank lines",
        read("\n\nquery-id\tcorpus-id\tscore\nq\ta\t1\n", read_qrels),
        {"q": {"a": 1}},
    ),
    OddInput(
        "qrels: a header in capitals",
        read("QUERY-ID\tDOC\tSCORE\nq\ta\t1\n", read_qrels),
        {"q": {"a": 1}},
    ),
    OddInput(
        "qrels: a header of four columns",
        read("query 0 doc relevance\nq 0 a 1\n", read_qrels),
        {"q": {"a": 1}},
    ),
    OddInput(
        "qrels: a header alone",
        read("query-id\tcorpus-id\tscore\n", read_qrels),
        refused("at least one judgment, got none"),
    ),
    OddInput(
        "qrels: an unknown header",
        read("query\tdoc\tgrade\nq\ta\t1\n", read_qrels),
        refused("odd:1: relevance must be a whole number, got 'grade'"),
    ),
    OddInput(
        "qrels: three columns without a header",
        read("q\ta\t1\nq\tb\t0\n", read_qrels),
        {"q": {"a": 1, "b": 0}},
    ),
    OddInput(
        "qrels: three columns, then four",
        read("q a 1\nq 0 b 1\n", read_qrels),
        refused("odd:2: expected 3 fields as before, got 4"),
    ),
    OddInput(
        "qrels: four columns, then three",
        read("q 0 b 1\nq a 1\n", read_qrels),
        refused("odd:2: expected 4 fields as before, got 3"),
    ),
    OddInput(
        "qrels: BEIR's header over TREC's columns",
        read("query-id\tcorpus-id\tscore\nq 0 b 1\n", read_qrels),
        refused("odd:2: expected 3 fields as before, got 4"),
    ),
    OddInput(
        "qrels: a document with a blank",
        read("q\ta b c\t1\n", read_qrels),
        refused("odd:1: expected 3 or 4 fields, got 5"),
    ),
    OddInput(
        "qrels: a run", read("q Q0 a 1 1 t\n", read_qrels), refused("expected 3 or 4 fields, got 6")
    ),
    OddInput(
        "qrels: two columns", read("q a\n", read_qrels), refused("expected 3 or 4 fields, got 2")
    ),
    OddInput("qrels: empty", read("", read_qrels), refused("at least one judgment, got none")),
    OddInput(
        "qrels: commas",
        read("q,0,a,1\n", read_qrels),
        refused("odd:1: expected 3 or 4 fields, got 1"),
    ),
    OddInput(
        "qrels: any second column", read("q Q0 a 1\nq x b 1\n", read_qrels), {"q": {"a": 1, "b": 1}}
    ),
    OddInput("qrels: a query named score", read("score 0 a 1\n", read_qrels), {"score": {"a": 1}}),
    OddInput(
        "qrels: a grade named score",
        read("q 0 a 1\nq 0 b score\n", read_qrels),
        refused("odd:2: a header must be the first line"),
    ),
]
