"""Write a small collection, as you may have one: what Python says about its own library.

    python make_collection.py FOLDER [QUERIES]

The first sentence of a documentation is the query, and the rest of it is the one document that
answers. FOLDER gets three files in BEIR's layout, and FOLDER/theirs.trec, a ranking by TF-IDF that
scikit-learn makes: somebody else's run.
"""

import importlib
import inspect
import json
import sys
import zlib
from pathlib import Path

from sklearn.feature_extraction.text import TfidfVectorizer

MODULES = """argparse ast asyncio bisect calendar cmd codecs collections concurrent.futures
configparser contextlib copy csv datetime decimal difflib dis doctest email.message enum fractions
ftplib functools gzip hashlib heapq html.parser http.client imaplib inspect itertools json locale
logging math multiprocessing os pathlib pdb pickle poplib queue random re shlex shutil smtplib
socket sqlite3 ssl statistics string struct subprocess tarfile tempfile textwrap threading trace
tracemalloc types typing unittest urllib.request weakref xml.dom.minidom xml.etree.ElementTree
zipfile""".split()
DEPTH = 100


def list_documented(module):
    """Names and documented things of a module, its classes' methods included."""
    for name, value in inspect.getmembers(module):
        yield f"{module.__name__}.{name}", value
        if inspect.isclass(value):
            for method, function in inspect.getmembers(value, inspect.isroutine):
                yield f"{module.__name__}.{name}.{method}", function


def read_texts():
    """Query, name of the document and its text, in an order that no name decides."""
    texts = {}
    for module in map(importlib.import_module, MODULES):
        for name, value in list_documented(module):
            if "._" in name or not (inspect.isroutine(value) or inspect.isclass(value)):
                continue
            first, _, rest = (inspect.getdoc(value) or "").partition("\n\n")
            query, document = " ".join(first.split()), " ".join(rest.split()[:60])
            is_sentence = 5 <= len(query.split()) <= 25 and not set(query) & set("=>(")
            if is_sentence and len(document.split()) >= 15:
                texts.setdefault(query, (name, document))
    first_of = {document: query for query, (_, document) in reversed(texts.items())}
    once = {query: texts[query] for query in first_of.values()}
    ordered = sorted(once.items(), key=lambda item: zlib.crc32(item[0].encode()))
    return [(query, name, document) for query, (name, document) in ordered]


def write_lines(path, records):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{record}\n" for record in records), encoding="utf-8")


def rank_by_words(queries, documents):
    """The lines of a TREC run: the documents that are nearest by TF-IDF."""
    words = TfidfVectorizer()
    columns = words.fit_transform([text for _, text in documents]).T
    for query_id, text in queries:
        scores = (words.transform([text]) @ columns).toarray()[0]
        best = scores.argsort(kind="stable")[::-1][:DEPTH]
        for rank, number in enumerate(best, start=1):
            yield f"{query_id} Q0 {documents[number][0]} {rank} {scores[number]:.6f} theirs"


def main(folder, count=150):
    texts = read_texts()
    documents = [(name, text) for _, name, text in texts]
    asked = [(f"q{number}", *text[:2]) for number, text in enumerate(texts[: int(count)], start=1)]
    queries = [(query_id, text) for query_id, text, _ in asked]
    folder = Path(folder)
    for path, rows in {"corpus.jsonl": documents, "queries.jsonl": queries}.items():
        write_lines(folder / path, (json.dumps({"_id": id_, "text": text}) for id_, text in rows))
    judged = [f"{query_id}\t{name}\t1" for query_id, _, name in asked]
    write_lines(folder / "qrels" / "test.tsv", ["query-id\tcorpus-id\tscore", *judged])
    write_lines(folder / "theirs.trec", rank_by_words(queries, documents))


if __name__ == "__main__":
    main(*sys.argv[1:])
