#!/usr/bin/env bash
# A re-ranker, a loss and a sampler of another package, trained and evaluated by name: own_parts.md tells it step by step.
source "$(dirname "$0")/counted.sh"

mkdir -p wordy/conf/{reranker,loss,negatives}

cat >wordy/__init__.py <<'PYTHON'
"""A re-ranker, a loss and a sampler that recross does not have."""
PYTHON

cat >wordy/reranker.py <<'PYTHON'
from dataclasses import dataclass
from typing import Annotated

from recross import Run
from recross.parts.bounds import Ge, checked
from recross.rerankers.cross_encoder import CrossEncoder


@dataclass(frozen=True)
@checked
class WithSharedWords(CrossEncoder):
    """A cross-encoder whose scores grow with the share of the query's words that a document has."""

    weight: Annotated[float, Ge(0)] = 1.0

    def rerank(self, candidates, collection):
        def bonus(query_id, doc_id):
            words = set(collection.queries[query_id].lower().split())
            found = words & set(collection.documents[doc_id].lower().split())
            return self.weight * len(found) / len(words)

        scored = super().rerank(candidates, collection)
        scores = {
            query_id: {doc.doc_id: doc.score + bonus(query_id, doc.doc_id) for doc in ranking}
            for query_id, ranking in scored.rankings.items()
        }
        return Run.from_scores("with_shared_words", scores)
PYTHON

cat >wordy/loss.py <<'PYTHON'
from dataclasses import dataclass
from typing import Annotated

from recross.parts.bounds import Gt, checked
from recross.training.losses.loss import Lists, Loss, mean_over_queries


@dataclass(frozen=True)
@checked
class SquaredLead(Loss):
    """The square of what a better document's lead lacks of ``lead``."""

    lead: Annotated[float, Gt(0)] = 4.0

    def __call__(self, scores, targets):
        lists = Lists.of(scores, targets)
        lacking = (self.lead - lists.margins).clamp(min=0)
        return mean_over_queries(lacking**2, lists.preferred)
PYTHON

cat >wordy/negatives.py <<'PYTHON'
from dataclasses import dataclass
from typing import Annotated

from recross.collections.collection import Collection
from recross.negatives.sampler import NegativeSampler
from recross.parts.bounds import Ge, checked


@dataclass(frozen=True)
class ByWords:
    """The words of every document, from which those that share most with a query are found."""

    collection: Collection
    split: str
    words: dict[str, set[str]]
    window: int

    @property
    def counts(self):
        return {"documents": len(self.words), "window": self.window}

    def draw(self, query_id, positive, size, rng):
        wanted = set(self.collection.queries[query_id].lower().split())
        relevant = self.collection.relevant(self.split, query_id)
        others = [doc_id for doc_id in self.words if doc_id not in relevant]
        others.sort(key=lambda doc_id: (-len(wanted & self.words[doc_id]), doc_id))
        return [others[number] for number in rng.permutation(self.window)[:size]]

    def first_stage_scores(self, query_id, doc_ids):
        return None  # no retriever ranked them


@dataclass(frozen=True)
@checked
class SharedWords(NegativeSampler):
    """Negatives from the ``window`` documents that share most words with the query."""

    window: Annotated[int, Ge(8)] = 20

    def mine(self, collection, split, store):
        words = {doc_id: set(text.lower().split()) for doc_id, text in collection.documents.items()}
        return ByWords(collection, split, words, self.window)
PYTHON

cat >wordy/conf/reranker/with_shared_words.yaml <<'YAML'
# The shipped re-ranker, and a bonus for words that query and document share.
defaults: [embedded_reranker, _self_]
_target_: wordy.reranker.WithSharedWords
weight: 1.0
YAML

cat >wordy/conf/loss/squared_lead.yaml <<'YAML'
# The square of what a better document's lead lacks.
_target_: wordy.loss.SquaredLead
lead: 4.0
YAML

cat >wordy/conf/negatives/shared_words.yaml <<'YAML'
# Documents that share words with the query.
_target_: wordy.negatives.SharedWords
window: 20
YAML

export PYTHONPATH=$PWD:${PYTHONPATH:-}   # or, once it has a pyproject.toml: pip install -e .

recross options loss plugins=[wordy] | grep squared_lead
recross run plugins=[wordy] collection=apidocs_networkx collection.size=300 retriever=bm25 depth=10 reranker=with_shared_words loss=squared_lead negatives=shared_words training=further training.steps=4 training.validations=1 training.batch_size=4 training.negatives_per_positive=3 training.validation_queries=10 training.validation_depth=10 latency_queries=0 study=wordy name=ours
recross table outputs/wordy

# what was wanted: the three parts are in the record, and what they trained ranks better than BM25
python - <<'PYTHON'
import json
from pathlib import Path

result = json.loads(Path("outputs/wordy/ours/seed=0/result.json").read_text())
for part in ("reranker", "loss", "negatives"):
    print(part, result[part]["class"])
    assert result[part]["class"].startswith("wordy.")
before, after = (result[of]["MRR@10"] for of in ("first_stage_measures", "measures"))
print(f"MRR@10 {after:.4f}, BM25 alone {before:.4f}")
assert after > before
PYTHON
finish "own_parts: parts of another package are trained, scored and in the table"
