"""What a first stage or a re-ranker cut off texts is said so that it can be read."""

from recross.records import Cost
from recross.retrieval.cuts import say_cuts


def test_large_numbers_of_cut_texts_have_separators(caplog):
    caplog.set_level("INFO")
    say_cuts("re-ranker", Cost(cut_documents=1_078, cut_queries=2, cut_tokens=92_440))
    assert caplog.messages == [
        "re-ranker: 1,078 documents and 2 queries are longer than it reads,"
        " and were cut by 92,440 tokens"
    ]
