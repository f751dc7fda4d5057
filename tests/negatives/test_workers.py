"""Candidates are judged so many queries at a time, and nothing but that depends on it."""

from dataclasses import dataclass, field

from recross.negatives import workers
from recross.negatives.workers import judge_alone
from recross.rerankers.reranker import Reranker
from recross.runs import Run

SCORES = {f"q{number}": {"a": float(number), "b": 2.0} for number in range(5)}


@dataclass(frozen=True)
class Backwards(Reranker):
    """Turns every ranking around, and remembers what it was asked at once."""

    asked: list[list[str]] = field(default_factory=list)

    def rerank(self, candidates, collection):
        self.asked.append(list(candidates.rankings))
        turned = {q: {d: -s for d, s in r} for q, r in candidates.rankings.items()}
        return Run.from_scores("backwards", turned)


def test_a_run_is_judged_some_queries_at_a_time(monkeypatch):
    monkeypatch.setattr(workers, "QUERIES_JUDGED_AT_ONCE", 2)
    reranker, candidates = Backwards(), Run.from_scores("given", SCORES)
    judged = judge_alone(reranker, candidates, None)
    assert reranker.asked == [["q0", "q1"], ["q2", "q3"], ["q4"]]
    assert judged.rankings == Backwards().rerank(candidates, None).rankings
    assert judge_alone(reranker, Run("empty", {}), None).rankings == {}
