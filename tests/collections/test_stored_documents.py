"""Documents on disk are a mapping like any other, and their writing goes on where it stopped."""

from itertools import islice

import pytest

from recross.collections import stored_documents
from recross.collections.stored_documents import StoredDocuments
from recross.store import Store

DOCUMENTS = {f"d{number}": f"text {number} ü" for number in range(23)}


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    monkeypatch.setattr(stored_documents, "DOCUMENTS_PER_WRITE", 5)


class Source:
    """Reads documents from a number on, and loses power at one if told to."""

    def __init__(self, dies_at=None):
        self.dies_at, self.read = dies_at, []

    def __call__(self, start):
        for number, pair in islice(enumerate(DOCUMENTS.items()), start, None):
            if number == self.dies_at:
                raise KeyboardInterrupt
            self.read.append(number)
            yield pair


def write(store, source):
    def make(folder):
        return StoredDocuments.write(folder, source)

    return Store(store).artefact("documents", {"x": 1}, make, resumable=True)


def test_it_equals_the_dict_that_was_written(tmp_path):
    found = StoredDocuments.open(write(tmp_path, Source()))
    assert found == DOCUMENTS
    assert list(found) == list(DOCUMENTS)
    assert list(found.items()) == list(DOCUMENTS.items())
    assert list(found.values()) == list(DOCUMENTS.values())
    assert "d3" in found
    assert "d23" not in found
    with pytest.raises(KeyError, match="d23"):
        found["d23"]


@pytest.mark.parametrize("death, kept", [(0, 0), (4, 0), (12, 10), (22, 20)])
def test_what_was_written_before_an_interruption_is_not_read_again(tmp_path, death, kept):
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path, Source(death))
    second = Source()
    whole = write(tmp_path, second)
    assert second.read == list(range(kept, 23))
    assert StoredDocuments.open(whole) == DOCUMENTS
    straight = write(tmp_path / "other", Source())
    for path in straight.iterdir():
        if path.suffix != ".json":
            assert path.read_bytes() == (whole / path.name).read_bytes()
