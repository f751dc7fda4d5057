#!/usr/bin/env bash
# A config of one's own, a sweep, a search and their curves, with Hydra, Optuna and wandb: hydra_and_wandb.md tells it step by step.
source "$(dirname "$0")/counted.sh"
export WANDB_MODE=offline

HOME=$PWD recross completion install bash
recross completion query "recross run reranker=embedded_l"

mkdir -p my_conf/experiment
cat >my_conf/experiment/small.yaml <<'YAML'
# @package _global_
# Two layers on 300 documents, for ten steps: seconds a cell, to see everything work.
defaults:
  - override /collection: apidocs_networkx
  - override /retriever: bm25
  - override /negatives: bm25
  - override /tracking: wandb

depth: 10
latency_queries: 0
collection:
  size: 300
reranker:
  head: span_cosine     # begins as the bi-encoder's cosine
  max_length: 64
training:
  steps: 10
  batch_size: 4
  negatives_per_positive: 3
tracking:
  project: small
YAML

recross run --config-dir my_conf experiment=small --info defaults-tree
recross run --config-dir my_conf experiment=small loss=ranknet --cfg job --package loss

recross run -m --config-dir my_conf experiment=small study=losses 'loss=glob(*net,exclude=distilled*)'
recross status outputs/losses

recross train -m --config-dir my_conf experiment=small study=search hydra/sweeper=optuna hydra.sweeper.n_trials=4 negatives=bm25,random 'training.learning_rate=tag(log,interval(1e-5,3e-3))'

# the overrides of the trial that was best on dev: the two lines under best_params
best=$(sed -n 's/^  \(.*\): /\1=/p' outputs/search/optimization_results.yaml)
recross run --config-dir my_conf experiment=small study=chosen name=best label="best on dev" $best
recross run --from outputs/chosen/best/seed=0/config.yaml seed=1
recross table outputs/losses outputs/chosen

# what was wanted: the best of what was tried, one table of all, and for wandb a run of each with its curves
python - <<'PYTHON'
import json
from pathlib import Path

search = json.loads(Path("outputs/search/search.json").read_text())
reached = [trial["value"] for trial in search["trials"]]
print("tried on dev:", " ".join(f"{value:.4f}" for value in reached))
assert len(set(reached)) > 1 and search["best"]["value"] == max(reached)
PYTHON
test "$(ls -d outputs/*/*/seed=*/wandb/offline-run-* | wc -l)" = 8
grep -q '^best on dev' outputs/losses/table.csv
finish "hydra_and_wandb: the table is in outputs/losses, and eight runs wait for wandb sync"
