"""A server of scores, a re-ranker that asks it, and candidates in the wrong order."""

import pytest

from recross.inference.cache.score_cache import ScoreCache
from recross.rerankers.remote.patience import Patience
from recross.rerankers.served.dialects import VllmScore
from recross.rerankers.served.served import ServedReranker
from recross.runs import Run
from tests.score_stub import ScoreStub

FAST = Patience(timeout_seconds=20, max_retries=3, backoff_seconds=0.001)


def overlap(query, document):
    """Words of the query that the document has, and a little for each of its words."""
    words = document.split()
    return sum(word in words for word in query.split()) + len(words) / 128


@pytest.fixture
def serve():
    stubs = []

    def start(score=overlap, **more):
        stubs.append(ScoreStub(score, **more))
        return stubs[-1]

    yield start
    for stub in stubs:
        stub.close()


@pytest.fixture
def served(tmp_path):
    def make(stub, dialect=None, **more):
        cache = {"cache": ScoreCache(tmp_path / "scores")}
        return ServedReranker(
            stub.url, "some/model", dialect or VllmScore(), **{"patience": FAST, **cache, **more}
        )

    return make


@pytest.fixture
def candidates():
    """Twelve documents each of q0, q5 and q10, the one that is asked for last."""
    return Run.from_scores(
        "candidates",
        {
            f"q{query}": {
                f"d{number}": float(number != query) - number / 100 for number in range(12)
            }
            for query in (0, 5, 10)
        },
    )
