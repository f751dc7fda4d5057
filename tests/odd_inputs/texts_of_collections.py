"""Odd texts, ids and records of documents and queries."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from recross.collections.collection import Collection
from recross.collections.text_lines import read_text_file
from recross.retrieval.bm25 import BM25
from tests.odd_inputs.odd_input import OddInput, refused
from tests.odd_inputs.reading import READERS
from tests.odd_inputs.runs_and_judgments import FIT, UNFIT

QUERY = '{"_id": "q1", "text": "a"'
SECOND = '{"_id": "q2", "text": "b"}\n'
FIRST = '{"_id": "d0", "text": "first"}\n'
DEEP = 20_000


def read(text: str) -> Callable[[Path], object]:
    def act(folder: Path) -> object:
        path = folder / "odd"
        path.write_bytes(text.encode("utf-8", "surrogatepass"))
        return read_text_file(path)

    return act


def record(**values: object) -> Callable[[Path], object]:
    """What is read of a record in the second line."""
    return second(json.dumps(values))


def second(line: str) -> Callable[[Path], object]:
    read_both = read(f"{FIRST}{line}\n")

    def act(folder: Path) -> object:
        texts = read_both(folder)
        del texts["d0"]
        return texts

    return act


def rank(documents: dict[str, str], queries: dict[str, str]) -> Callable[[Path], object]:
    def act(folder: Path) -> object:
        splits = {"test": tuple(queries)}
        toy = Collection("toy", documents, queries, splits, {"test": {}}, str(documents))
        run = BM25(store=folder).retrieve(toy, list(queries), 5)
        return {query_id: run.doc_ids(query_id) for query_id in queries}

    return act


NO_IDS = {
    "true": "True",
    "false": "False",
    "1.5": "1.5",
    "1.0": "1.0",
    "null": "None",
    "[]": "[]",
    '["d1"]': "['d1']",
    "{}": "{}",
    "NaN": "nan",
    "1e400": "inf",
    "-Infinity": "-inf",
}
NO_TEXTS = {**NO_IDS, "1984": "1984", '{"a": "b"}': "{'a': 'b'}", '["a", "b"]': "['a', 'b']"}
del NO_TEXTS['["d1"]']
TEXTS = {
    "empty": "",
    "a blank": " ",
    "line breaks": "a\nb\r\nc\rd",
    "tabs": "a\tb",
    "separators of Unicode": "a\u2028b\u2029c\x85d\x0be\x0cf",
    "an emoji": "👩\u200d🔬",
    "a byte order mark": "\ufeffa",
    "control characters": "a\x01\x1b[31mb\x7f",
    "NUL": "a\0b",
    "quotes and backslashes": '"\\"',
    "tags": "<script>alert(1)</script>",
    "a megabyte": "word " * 200_000,
    "no break in a megabyte": "x" * 1_000_000,
}
NO_OBJECTS = {
    "a list": ("[]", "expected a JSON object"),
    "a text": ('"d1"', "expected a JSON object"),
    "a number": ("1", "expected a JSON object"),
    "a word": ("nonsense", "expected a JSON object"),
    "a tab-separated line": ("d1\ttext", "expected a JSON object"),
    "an object cut short": ('{"_id": "d1", "text": "a', "expected a JSON object"),
    "two objects": ('{"_id": "d1", "text": "a"} {"_id": "d2", "text": "b"}', "Extra data"),
    "a comma after": ('{"_id": "d1", "text": "a"},', "Extra data"),
    "single quotes": ("{'_id': 'd1', 'text': 'a'}", "expected a JSON object"),
    "a comma too many": ('{"_id": "d1", "text": "a",}', "expected a JSON object"),
    "a key without quotes": ('{_id: "d1"}', "expected a JSON object"),
    "a comment": ('{"_id": "d1", "text": "a"} // b', "expected a JSON object"),
    "a control character": ('{"_id": "d1", "text": "a\x01"}', "Invalid control character"),
    "an escape that is none": ('{"_id": "d1", "text": "\\x41"}', "Invalid \\escape"),
    "a key twice": ('{"_id": "d1", "text": "a", "text": "b"}', "must be unique, got 'text' twice"),
    "an id twice": ('{"_id": "d1", "_id": "d2", "text": "b"}', "must be unique, got '_id' twice"),
    "nested lists": ('{"_id": "d1", "text": ' + "[" * DEEP + "]" * DEEP + "}", "nested too deep"),
    "nested objects": ('{"a": ' * DEEP + "1" + "}" * DEEP, "nested too deep"),
    "nested lists left open": ('{"_id": ' + "[" * DEEP, "nested too deep"),
    "a number of 5000 digits": ('{"_id": ' + "1" * 5000 + ', "text": "a"}', "4300 digits"),
    "an empty object": ("{}", "expected an '_id', got the keys none"),
    "a byte order mark before": ('\ufeff{"_id": "d1", "text": "a"}', "expected a JSON object"),
}
KEYS = {
    "no text": ({"_id": "d", "body": "a"}, "expected a text under text, contents, content, query"),
    "a text in capitals": ({"_id": "d", "Text": "a"}, "got the keys _id, Text"),
    "a title alone": ({"_id": "d", "title": "a"}, "got the keys _id, title"),
    "two texts": ({"_id": "d", "contents": "a", "query": "b"}, "one text alone"),
    "no id": ({"text": "a", "ID": "d"}, "expected an '_id', got the keys text, ID"),
    "a null text": ({"_id": "d", "text": None}, "text must be a text, got None"),
    "null contents": ({"_id": "d", "contents": None}, "contents must be a text, got None"),
    "an empty id": ({"_id": "", "text": "a"}, "_id must not be empty"),
    "an id of blanks": ({"_id": "  ", "text": "a"}, "_id must hold no blanks"),
    "a null id beside another": ({"_id": None, "id": "d", "text": "a"}, "_id must be a text or"),
}
READ = {
    "a title": ({"_id": "d", "title": "A", "text": "b"}, {"d": "A b"}),
    "a null title": ({"_id": "d", "title": None, "text": "b"}, {"d": "b"}),
    "an empty title": ({"_id": "d", "title": "", "text": "b"}, {"d": "b"}),
    "a title without text": ({"_id": "d", "title": "A", "text": ""}, {"d": "A"}),
    "a whole number as id": ({"_id": 7, "text": "b"}, {"7": "b"}),
    "a negative number as id": ({"_id": -7, "text": "b"}, {"-7": "b"}),
    "a number of 4000 digits as id": ({"_id": 10**4000, "text": "b"}, {str(10**4000): "b"}),
    "pyserini's keys": ({"id": "d", "contents": "b"}, {"d": "b"}),
    "BRIGHT's keys": ({"id": "d", "content": "b"}, {"d": "b"}),
    "BRIGHT's keys of queries": ({"id": "d", "query": "b"}, {"d": "b"}),
    "the keys of ir_datasets": ({"doc_id": "d", "text": "b"}, {"d": "b"}),
    "a text beside contents": ({"_id": "d", "text": "b", "contents": "c"}, {"d": "b"}),
    "other keys of any kind": ({"_id": "d", "text": "b", "m": [{"x": float("nan")}]}, {"d": "b"}),
    "two ids": ({"_id": "d", "id": "e", "text": "b"}, {"d": "b"}),
}
HALVES = ("\\ud800", "\\uDFFF", "a\\ud83d b", "\\ude00\\ud83d")
PER_READER = ("corpus.jsonl", "queries.jsonl")
UNFIT_IN_TABLES = {w: odd for w, odd in UNFIT.items() if w != "a byte order mark"}

ODD_INPUTS = [
    *(
        OddInput(
            f"texts: {value} as id",
            second(f'{{"_id": {value}, "text": "a"}}'),
            refused("odd:2: _id must be a text or a whole number, got", says),
        )
        for value, says in NO_IDS.items()
    ),
    *(
        OddInput(
            f"texts: {value} as {key}",
            second(json.dumps(known)[:-1] + f', "{key}": {value}}}'),
            refused(f"odd:2: {key} must be a text, got {says}"),
        )
        for key, known in (
            ("text", {"_id": "d"}),
            ("title", {"_id": "d", "text": "a"}),
            ("contents", {"id": "d"}),
        )
        for value, says in NO_TEXTS.items()
        if (key, value) != ("title", "null")
    ),
    *(
        OddInput(f"texts: {what} as a {key}", record(_id="d", **{key: text}), {"d": text})
        for key in ("text", "contents")
        for what, text in TEXTS.items()
    ),
    *(
        OddInput(f"texts: {what} for an object", second(line), refused("odd:2: ", says))
        for what, (line, says) in NO_OBJECTS.items()
    ),
    *(
        OddInput(f"texts: {what}", record(**values), refused("odd:2: ", says))
        for what, (values, says) in KEYS.items()
    ),
    *(
        OddInput(f"texts: {what}", record(**values), answer)
        for what, (values, answer) in READ.items()
    ),
    *(
        OddInput(
            f"texts: the escape {half} in the {key}",
            second(json.dumps({"_id": "d", "text": "t"} | {key: "X"}).replace("X", half)),
            refused("odd:2: ", "must hold no blanks" if key == "_id" else "no lone surrogate"),
        )
        for half in HALVES
        for key in ("_id", "title", "text")
    ),
    OddInput(
        "texts: a pair of escapes", second('{"_id": "d", "text": "\\ud83d\\ude00"}'), {"d": "😀"}
    ),
    *(
        OddInput(
            f"texts: {what} in an id of JSON",
            record(_id=odd, text="a"),
            refused("odd:2: _id must hold no blanks"),
        )
        for what, odd in {
            **UNFIT,
            "a blank": "a b",
            "a line break": "a\nb",
            "a tab": "a\tb",
            "NUL": "a\0",
        }.items()
    ),
    *(
        OddInput(f"texts: {what} as an id of JSON", record(_id=odd, text="a"), {odd: "a"})
        for what, odd in FIT.items()
    ),
    *(
        OddInput(
            f"texts: {what} in an id before a tab",
            read(f"d0\ta\n{odd}\tb\n"),
            refused("odd:2: id must hold no blanks"),
        )
        for what, odd in {
            **UNFIT_IN_TABLES,
            "a blank": "a b",
            "a blank before": " a",
            "a blank after": "a ",
        }.items()
    ),
    *(
        OddInput(
            f"texts: {what} as an id before a tab",
            read(f"d0\ta\n{odd}\tb\n"),
            {"d0": "a", odd: "b"},
        )
        for what, odd in FIT.items()
    ),
    OddInput(
        "texts: a lone carriage return",
        read("1\ta\rb\n2\tc\r\td\r\n"),
        {"1": "a\rb", "2": "c\r\td"},
    ),
    OddInput(
        "texts: separators of Unicode",
        read("1\ta\u2028b\x85c\n2\td\n"),
        {"1": "a\u2028b\x85c", "2": "d"},
    ),
    OddInput("texts: an empty text", read("1\t\n2\tb\n"), {"1": "", "2": "b"}),
    OddInput(
        "texts: no tab",
        read("1\ta\n2 b\n"),
        refused("odd:2: expected identifier, tab, text, got '2 b'"),
    ),
    OddInput(
        "texts: nothing before the tab", read("1\ta\n\tb\n"), refused("odd:2: id must not be empty")
    ),
    OddInput(
        "texts: an object among tables",
        read(f"1\ta\n{FIRST}"),
        refused("odd:2: expected identifier, tab, text"),
    ),
    OddInput(
        "texts: an object with a tab before", read('\t {"_id": "d", "text": "a"}\n'), {"d": "a"}
    ),
    OddInput(
        "texts: a list over many lines",
        read('[\n{"_id": "d", "text": "a"}\n]\n'),
        refused("odd:1: expected identifier, tab, text"),
    ),
    OddInput("texts: empty", read(""), refused("must hold at least one text, got none")),
    OddInput(
        "texts: blank lines", read("\n \r\n\t\n"), refused("must hold at least one text, got none")
    ),
    OddInput(
        "texts: a mark alone", read("\ufeff"), refused("must hold at least one text, got none")
    ),
    OddInput(
        "texts: a non-breaking blank alone",
        read("\xa0\n"),
        refused("odd:1: expected identifier, tab, text"),
    ),
    OddInput(
        "texts: an id again",
        read("1\ta\n\n2\tb\n1\ta\n"),
        refused("odd:4: identifiers must be unique, got '1' again, as in line 1"),
    ),
    OddInput(
        "texts: an id of JSON again",
        second('{"id": "d0", "contents": "x"}'),
        refused("odd:2: ", "'d0' again, as in line 1"),
    ),
    OddInput(
        "texts: 7 and the number 7",
        read('{"_id": "7", "text": ""}\n{"_id": 7, "text": ""}\n'),
        refused("odd:2: ", "'7' again, as in line 1"),
    ),
    OddInput("texts: ids that differ in case", read("a\t1\nA\t2\n"), {"a": "1", "A": "2"}),
    OddInput(
        "texts: ids that differ in form", read("é\t1\ne\u0301\t2\n"), {"é": "1", "e\u0301": "2"}
    ),
    *(
        OddInput(
            f"{name}: {what} for an object",
            READERS[name].act((READERS[name].good + line + "\n").encode()),
            refused(f"{name}:3: ", says),
        )
        for name in PER_READER
        for what, (line, says) in NO_OBJECTS.items()
    ),
    *(
        OddInput(
            f"{name}: excluded_ids are {value}",
            READERS[name].act(
                f'{{"_id": "q1", "text": "a", "excluded_ids": {value}}}\n{SECOND}'.encode()
            ),
            refused("queries.jsonl:1: ", says),
        )
        for name in ("excluded_ids",)
        for value, says in {
            '"d1"': "excluded_ids must be a list of ids, got 'd1'",
            "{}": "excluded_ids must be a list of ids, got {}",
            "1": "excluded_ids must be a list of ids, got 1",
            "[null]": "an excluded id must be a text or a whole number, got None",
            "[1.5]": "an excluded id must be a text or a whole number, got 1.5",
            "[true]": "an excluded id must be a text or a whole number, got True",
            '[["d1"]]': "an excluded id must be a text or a whole number, got ['d1']",
            '["a b"]': "an excluded id must hold no blanks",
            '[""]': "an excluded id must not be empty",
        }.items()
    ),
    *(
        OddInput(
            f"queries.jsonl: {value} as an instruction",
            READERS["queries.jsonl"].act(
                f'{{"_id": "q1", "text": "a", "instruction": {value}}}\n{SECOND}'.encode()
            ),
            refused(f"queries.jsonl:1: instruction must be a text, got {says}"),
        )
        for value, says in {
            "1": "1",
            "true": "True",
            '["a"]': "['a']",
            "{}": "{}",
            "NaN": "nan",
        }.items()
    ),
    OddInput(
        "excluded.tsv: three columns",
        READERS["excluded.tsv"].act(b"q\ta\tb\n"),
        refused("excluded.tsv:1: expected query, tab, document"),
    ),
    OddInput(
        "excluded.tsv: a header in the middle",
        READERS["excluded.tsv"].act(b"q\ta\nquery-id\tcorpus-id\n"),
        {"q": {"a"}, "query-id": {"corpus-id"}},
    ),
    OddInput(
        "excluded.tsv: no document",
        READERS["excluded.tsv"].act(b"q\t\n"),
        refused("excluded.tsv:1: document must not be empty"),
    ),
    OddInput(
        "excluded.tsv: one line twice", READERS["excluded.tsv"].act(b"q\ta\nq\ta\n"), {"q": {"a"}}
    ),
    OddInput("excluded.tsv: empty", READERS["excluded.tsv"].act(b""), {}),
    OddInput(
        "instructions.tsv: an unknown query",
        READERS["instructions.tsv"].act(b"q7\tfind\n"),
        refused("instructions.tsv", "must name known queries, got 'q7'"),
    ),
    OddInput(
        "instructions.tsv: a query twice",
        READERS["instructions.tsv"].act(b"q1\tfind\nq1\tseek\n"),
        refused("instructions.tsv:2: ", "'q1' again, as in line 1"),
    ),
    OddInput(
        "BM25: documents are empty",
        rank({"a": "", "b": " "}, {"q": "cat"}),
        refused("documents must hold words that are no stop words, got none in the 2 of 'toy'"),
    ),
    OddInput(
        "BM25: documents of stop words",
        rank({"a": "the", "b": "of a"}, {"q": "cat"}),
        refused("none in the 2 of 'toy'"),
    ),
    OddInput(
        "BM25: one document with a word", rank({"a": "", "b": "cat"}, {"q": "cat"}), {"q": ["b"]}
    ),
    OddInput(
        "BM25: a query of stop words",
        rank({"a": "cat", "b": "dog"}, {"q": "the", "r": "dog"}),
        {"q": [], "r": ["b"]},
    ),
    OddInput(
        "BM25: empty queries",
        rank({"a": "cat", "b": "dog"}, {"q": "", "r": "!?"}),
        {"q": [], "r": []},
    ),
    OddInput(
        "BM25: a query of unknown words", rank({"a": "cat", "b": "dog"}, {"q": "cow"}), {"q": []}
    ),
]
