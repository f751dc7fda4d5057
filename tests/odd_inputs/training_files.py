"""Odd lines of training files, and of CSV files of values that others have measured."""

from __future__ import annotations

import json

from tests.odd_inputs.odd_input import OddInput, refused
from tests.odd_inputs.reading import READERS, REFERENCE

A, B = "a silver bridge", "candle light"


def lines(kind: str, *added: str) -> object:
    """What is read of the right file with these lines after its own."""
    reader = READERS[kind]
    return reader.act((reader.good + "".join(line + "\n" for line in added)).encode())


def alone(kind: str, *given: str) -> object:
    return READERS[kind].act("".join(line + "\n" for line in given).encode())


def wrong(kind: str, what: str, line: str, *says: str) -> OddInput:
    """A wrong line after the right ones; the message has its number."""
    reader = READERS[kind]
    place = f"{reader.name}:{reader.good.count(chr(10)) + 1}: "
    return OddInput(f"{kind}: {what}", lines(kind, line), refused(place, *says))


def record(**values: object) -> str:
    return json.dumps({"query": "w", "pos": "a", "neg": "b"} | values)


NO_SCORES = ["nan", "inf", "-inf", "1_0", "0x1", "1,5", "high", "１", "1e400"]
NO_JSON_NUMBERS = (
    "true",
    "null",
    "{}",
    "[]",
    '"high"',
    "NaN",
    "Infinity",
    "1e400",
    '"1_0"',
    "1" * 400,
)
NO_TEXTS = (
    "1",
    "1.5",
    "true",
    "{}",
    '""',
    '"  "',
    "NaN",
    '["a", 1]',
    '["a", ""]',
    '["a", null]',
    '[["a"]]',
)
CSV = {"reference.csv": 8, "golden.csv": 6, "pairs.csv": 2}
VALUES = {"reference.csv": "s,x,given,MRR@10,{},,,x", "golden.csv": "c,x,y,{},.1,x"}

ODD_INPUTS = [
    wrong("triples", "two fields", "q1\td1", "expected 3 fields apart by tabs", "got 2"),
    wrong("triples", "four fields", "q1\td1\td2\td3", "expected 3 fields", "got 4"),
    wrong("triples", "blanks for tabs", "q1 d1 d2", "expected 3 fields", "got 1"),
    wrong("triples", "an empty field", "q1\t\td2", "positive must not be empty"),
    wrong("triples", "an unknown query", "q7\td1\td2", "query must be one of 'toy', got 'q7'"),
    wrong(
        "triples", "an unknown document", "q1\td1\td7", "document must be one of 'toy', got 'd7'"
    ),
    wrong(
        "triples",
        "a mark in the middle",
        "\ufeffq1\td1\td2",
        "query must be one of 'toy', got '\\ufeffq1'",
    ),
    wrong("triples", "a header", "query\tpositive\tnegative", "query must be one of 'toy'"),
    OddInput(
        "triples: the positive is the negative",
        lines("triples", "q1\td1\td1"),
        READERS["triples"].answer,
    ),
    OddInput(
        "triples: the positive is the negative everywhere",
        alone("triples", "q1\td1\td1", "q2\td2\td2"),
        refused("must hold something to learn from, got none", "'positive_among_negatives': 2"),
    ),
    OddInput(
        "triples: a query of the test split",
        lines("triples", "q9\td3\td1"),
        READERS["triples"].answer,
    ),
    OddInput(
        "triples: of the test split alone",
        alone("triples", "q9\td3\td1"),
        refused("got none", "'in_evaluation_split': 1"),
    ),
    OddInput("triples: empty", alone("triples"), refused("must hold something to learn from")),
    OddInput(
        "triples: a mark alone",
        READERS["triples"].act(b"\xef\xbb\xbf"),
        refused("something to learn from"),
    ),
    OddInput(
        "triples: blanks around fields",
        alone("triples", " q1 \t d1 \t d2 "),
        [("bridge", [A, B], (1.0, 0.0), None)],
    ),
    OddInput(
        "triples: one line twice",
        alone("triples", *["q1\td1\td2"] * 2),
        [("bridge", [A, B], (1.0, 0.0), None)] * 2,
    ),
    OddInput(
        "text triples: separators within texts",
        alone("text triples", "w\ta\u2028b\x85c\td\re"),
        [("w", ["a\u2028b\x85c", "d\re"], (1.0, 0.0), None)],
    ),
    OddInput(
        "text triples: quotes are text",
        alone("text triples", '"w\t"a"\tb"'),
        [('"w', ['"a"', 'b"'], (1.0, 0.0), None)],
    ),
    OddInput(
        "text triples: texts alike",
        lines("text triples", "w\tsame\tsame"),
        READERS["text triples"].answer,
    ),
    OddInput(
        "text triples: a long text",
        alone("text triples", f"w\t{'x' * 300_000}\tb"),
        [("w", ["x" * 300_000, "b"], (1.0, 0.0), None)],
    ),
    wrong("text triples", "an empty text", "w\ta\t ", "negative must not be empty"),
    *(
        wrong(
            "scored triples",
            f"the score {n}",
            f"{n}\t0\tq1\td1\td2",
            "score of the positive must be a finite number, got",
        )
        for n in NO_SCORES
    ),
    *(
        wrong(
            "scored triples",
            f"the second score {n}",
            f"0\t{n}\tq1\td1\td2",
            "score of the negative must be a finite number, got",
        )
        for n in NO_SCORES[:4]
    ),
    wrong(
        "scored triples",
        "scores after ids",
        "q1\td1\td2\t1\t0",
        "score of the positive must be a finite number, got 'q1'",
    ),
    wrong("scored triples", "no scores", "q1\td1\td2", "expected 5 fields apart by tabs", "got 3"),
    *(
        wrong(
            "json lines",
            f"{key}={value}",
            record(**{key: json.loads(value) if value != "NaN" else float("nan")}),
            says,
        )
        for key, says in (
            ("query", "query must be a text"),
            ("pos", "pos must be a text"),
            ("neg", "neg"),
        )
        for value in NO_TEXTS
        if not (key == "query" and value.startswith("["))
    ),
    *(
        wrong(
            "json lines",
            f"the score {n:.20}",
            record(query="w")[:-1] + f', "scores": [{n}, 1]}}',
            "scores must be a finite number, got",
        )
        for n in NO_JSON_NUMBERS
    ),
    wrong("json lines", "a list", "[1]", "expected a JSON object"),
    wrong("json lines", "a number", "1", "expected a JSON object"),
    wrong("json lines", "an object cut short", record()[:-1], "expected a JSON object"),
    wrong("json lines", "two objects", record() + record(), "Extra data"),
    wrong(
        "json lines",
        "a key twice",
        record()[:-1] + ', "pos": "z"}',
        "must be unique, got 'pos' twice",
    ),
    wrong("json lines", "nested lists", '{"query": ' + "[" * 20_000, "nested too deep"),
    wrong("json lines", "a number of 5000 digits", '{"query": ' + "1" * 5000 + "}", "4300 digits"),
    wrong("json lines", "no query", '{"pos": "a", "neg": "b"}', "query must be a text"),
    wrong(
        "json lines", "no positive", '{"query": "w", "neg": "b"}', "positive or pos must be a text"
    ),
    wrong(
        "json lines", "no negative", '{"query": "w", "pos": "b"}', "negative or neg must be a text"
    ),
    wrong(
        "json lines",
        "two positives",
        record(positive="c"),
        "only one of positive, pos may be given",
    ),
    wrong(
        "json lines",
        "half a character in the query",
        record(query="X").replace("X", "\\ud800"),
        "query must hold no lone surrogate",
    ),
    wrong(
        "json lines",
        "half a character in a positive",
        record(pos="X").replace("X", "\\udfff"),
        "pos must hold no lone surrogate",
    ),
    wrong(
        "json lines",
        "half a character in a list",
        record(neg=["a", "X"]).replace("X", "\\ud83d"),
        "neg must hold no lone surrogate",
    ),
    wrong(
        "json lines",
        "scores on one line alone",
        record(scores=[1, 0]),
        "with every line of a file or with none",
    ),
    wrong(
        "json lines",
        "too many scores",
        record(scores=[1, 0, 0]),
        "scores must stand beside one positive",
    ),
    OddInput(
        "json lines: the positive among negatives",
        lines("json lines", record(pos="a", neg=["b", "a"])),
        READERS["json lines"].answer,
    ),
    OddInput(
        "json lines: other keys of any kind",
        alone("json lines", record(meta=[{"x": None}])),
        [("w", ["a", "b"], (1.0, 0.0), None)],
    ),
    OddInput(
        "json lines: line breaks in texts",
        alone("json lines", record(pos="a\nb\r\nc\u2028d", neg="e\x85f")),
        [("w", ["a\nb\r\nc\u2028d", "e\x85f"], (1.0, 0.0), None)],
    ),
    OddInput(
        "json lines: no negatives",
        alone("json lines", record(neg=[])),
        refused("got none", "'without_negatives': 1"),
    ),
    OddInput(
        "json lines: whole numbers as scores",
        alone("json lines", record(scores=[2, 1])),
        [("w", ["a", "b"], (1.0, 0.0), (2.0, 1.0))],
    ),
    wrong("teacher run", "five fields", "q2 Q0 d1 1 2", "expected 6 fields, got 5"),
    *(
        wrong(
            "teacher run",
            f"the score {n}",
            f"q2 Q0 d1 1 {n} t",
            "score must be a finite number, got",
        )
        for n in NO_SCORES
    ),
    wrong(
        "teacher run",
        "an id with a non-breaking blank",
        "q2 Q0 d\xa01 1 2 t",
        "document must hold no blanks",
    ),
    OddInput(
        "teacher run: a query that is not judged",
        lines("teacher run", "q7 Q0 d1 1 2 t"),
        READERS["teacher run"].answer,
    ),
    OddInput(
        "teacher run: a document twice",
        lines("teacher run", "q1 Q0 d3 3 0.5 t"),
        refused("teacher.trec:1: a document must be ranked once, got one twice for 'q1'"),
    ),
    OddInput(
        "teacher run: a query in two pieces",
        lines("teacher run", "q2 Q0 d2 1 2 t", "q2 Q0 d3 1 1 t", "q1 Q0 d4 1 0 t"),
        refused("lines of a query must stand together, got 'q1' again"),
    ),
    OddInput(
        "teacher run: nothing relevant",
        alone("teacher run", "q1 Q0 d3 1 1 t"),
        refused("got none", "'without_positive': 1"),
    ),
    OddInput(
        "teacher run: the relevant alone",
        alone("teacher run", "q1 Q0 d1 1 1 t"),
        refused("got none", "'without_negatives': 1"),
    ),
    *(
        wrong(kind, f"the value {n!r:.20}", line.format(n), "must be a finite number, got")
        for kind, line in VALUES.items()
        for n in (*NO_SCORES, "much", " 1", "1\xa0", "")
        if "," not in n
    ),
    *(
        wrong(
            kind,
            "a field too many",
            "x," * fields + "x",
            f"expected {fields} fields, got {fields + 1}",
        )
        for kind, fields in CSV.items()
    ),
    *(
        wrong(kind, "one field", "x", f"expected {fields} fields, got 1")
        for kind, fields in CSV.items()
    ),
    *(
        OddInput(
            f"{kind}: {what}",
            lines(kind, line),
            refused(READERS[kind].name, "expected fields of CSV"),
        )
        for kind in CSV
        for what, line in {
            "a quote left open": '"x' + ",x" * (CSV[kind] - 1),
            "text after a quote": '"x"y' + ",x" * (CSV[kind] - 1),
        }.items()
    ),
    *(
        OddInput(f"{kind}: empty", alone(kind), refused("must have the columns", "got 'none'"))
        for kind in CSV
    ),
    *(
        OddInput(
            f"{kind}: no header", alone(kind, "a,b"), refused("must have the columns", "got 'a, b'")
        )
        for kind in CSV
    ),
    *(
        OddInput(
            f"{kind}: a column twice",
            alone(kind, READERS[kind].good.partition("\n")[0] + ",source,query,source,query"),
            refused("must have the columns", "each once"),
        )
        for kind in CSV
    ),
    OddInput(
        "pairs.csv: a header alone",
        alone("pairs.csv", "query,document"),
        refused("pairs must hold at least one, got none"),
    ),
    OddInput(
        "pairs.csv: line breaks in quotes",
        alone("pairs.csv", "query,document", '"a\n\nb","c, ""d"""'),
        [("a\n\nb", 'c, "d"')],
    ),
    OddInput(
        "pairs.csv: separators in a text",
        alone("pairs.csv", "query,document", "a\u2028b,c\x85d"),
        [("a\u2028b", "c\x85d")],
    ),
    OddInput(
        "pairs.csv: columns exchanged and more",
        alone("pairs.csv", "document,x,query", "a,b,c"),
        [("c", "a")],
    ),
    OddInput("reference.csv: a header alone", alone("reference.csv", REFERENCE.strip()), []),
    wrong("reference.csv", "an unknown kind", "s,x,guessed,MRR@10,0.5,,,x", "kind", "guessed"),
    wrong(
        "reference.csv",
        "published without a tolerance",
        "s,x,published,MRR@10,0.5,,c,x",
        "tolerance of a published value",
    ),
    wrong(
        "reference.csv",
        "a tolerance below 0",
        "s,x,published,MRR@10,0.5,-1,c,x",
        "tolerance of a published value must be at least 0",
    ),
    wrong(
        "reference.csv",
        "published without candidates",
        "s,x,published,MRR@10,0.5,.1,,x",
        "candidates of a published value",
    ),
]
