"""Documents by number: whatever they lie in, whichever are asked for first."""

from collections import ChainMap

import pytest

from recross.collections.document_spans import DocumentSpans
from recross.collections.stored_documents import StoredDocuments
from recross.store import Store

DOCUMENTS = {f"d{number}": f"text {number}" for number in range(23)}
SPANS = (range(4, 8), range(8, 12), range(20, 23), range(4), range(8, 12), range(0))


def store_documents(folder):
    def make(path):
        return StoredDocuments.write(path, lambda start: iter([*DOCUMENTS.items()][start:]))

    return StoredDocuments.open(Store(folder).artefact("documents", {}, make))


@pytest.mark.parametrize("kind", [dict, lambda pairs: ChainMap({}, pairs), None])
def test_spans_hold_the_documents_of_their_numbers(tmp_path, kind):
    spans = DocumentSpans(kind(DOCUMENTS) if kind is not None else store_documents(tmp_path))
    for span in SPANS:
        assert spans.read(span) == [*DOCUMENTS.items()][span.start : span.stop]


def test_documents_are_read_once_where_spans_follow_each_other():
    class Counted(dict):
        passes = 0

        def items(self):
            self.passes += 1
            return super().items()

    documents = Counted(DOCUMENTS)
    spans = DocumentSpans(documents)
    for start in range(0, 23, 4):
        spans.read(range(start, start + 4))
    assert documents.passes == 1
    spans.read(range(4, 8))
    assert documents.passes == 2
