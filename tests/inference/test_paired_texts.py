import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from recross.inference.paired_texts import PairedTexts
from recross.inference.sequences import Sequences, count_cuts
from recross.records import Cost

CPU = torch.device("cpu")
QUERIES = Sequences.of([[1], [2, 3, 4]], lost=np.array([[0], [2]]))
DOCUMENTS = Sequences.of([[5, 6], [7, 8, 9, 10], [11]], lost=np.array([[0], [5], [1]]))
PAIRS = np.array([[0, 1], [1, 0], [1, 1], [0, 1]])


def rows_of(batch):
    """The tokens of each sequence of a batch."""
    return [part.tolist() for part in torch.tensor_split(batch.tokens, batch.starts[1:])]


def test_a_pair_is_as_long_as_both_of_its_texts_and_lost_what_they_lost():
    texts = PairedTexts(QUERIES, DOCUMENTS, PAIRS)
    assert texts.lengths.tolist() == [5, 5, 7, 5]
    assert texts.lost.tolist() == [[0, 5], [2, 0], [2, 5], [0, 5]]
    counted = Cost(cut_queries=2, cut_documents=3, cut_tokens=5 + 2 + 7 + 5)
    assert count_cuts(texts.lost) == counted
    assert PairedTexts(QUERIES, DOCUMENTS, PAIRS, query_length=2).lengths.tolist() == [6, 5, 7, 6]


def test_pairs_that_are_taken_keep_their_order_and_bring_no_other_texts():
    taken = PairedTexts(QUERIES, DOCUMENTS, PAIRS).take(np.array([2, 0]))
    assert taken.lengths.tolist() == [7, 5]
    batch = taken.on(CPU)
    assert rows_of(batch.queries) == [[2, 3, 4], [1]]
    assert rows_of(batch.documents) == [[7, 8, 9, 10]]
    assert batch.query_rows.tolist() == [0, 1]
    assert batch.document_rows.tolist() == [0, 0]
    assert batch.group_sizes == [2]


def test_no_pairs_have_no_lengths():
    nothing = Sequences.of([], lost=np.zeros((0, 1), dtype=np.int64))
    texts = PairedTexts(nothing, nothing, np.zeros((0, 2), dtype=np.int64), query_length=4)
    assert texts.lengths.tolist() == []
    assert count_cuts(texts.lost) == Cost()


@st.composite
def paired_texts(draw):
    """Texts of distinct tokens, so that each row says which text it is."""
    kinds = []
    for first in (0, 1000):
        sizes = draw(st.lists(st.integers(1, 4), min_size=1, max_size=6))
        ends = first + np.cumsum(sizes)
        rows = [list(range(end - size, end)) for end, size in zip(ends, sizes, strict=True)]
        kinds.append(rows)
    numbers = st.tuples(*(st.integers(0, len(rows) - 1) for rows in kinds))
    return (*kinds, np.array(draw(st.lists(numbers, min_size=1, max_size=20)), dtype=np.int64))


@given(paired_texts())
def test_a_batch_holds_each_of_its_texts_once_and_every_pair_finds_its_own(drawn):
    queries, documents, pairs = drawn
    lost = [np.zeros((len(rows), 1), dtype=np.int64) for rows in (queries, documents)]
    texts = PairedTexts(Sequences.of(queries, lost[0]), Sequences.of(documents, lost[1]), pairs)
    batch = texts.on(CPU)
    asked, read = rows_of(batch.queries), rows_of(batch.documents)
    assert [asked[row] for row in batch.query_rows] == [queries[n] for n, _ in pairs]
    assert [read[row] for row in batch.document_rows] == [documents[n] for _, n in pairs]
    assert len(asked) == len(set(pairs[:, 0].tolist()))
    assert len(read) == len(set(pairs[:, 1].tolist()))
    lengths = [len(documents[n]) for _, n in pairs]
    expected = [lengths.count(length) for _, length in batch.documents.groups]
    assert batch.group_sizes == expected
