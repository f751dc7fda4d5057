"""The words of an experiment on the toy collection that takes a second, training included."""

import json

from recross.collections.files import write_beir
from tests.conftest import save_tiny, toy_collection

QUICK = [
    *("training.steps=4", "training.validations=2", "training.batch_size=4", "depth=10"),
    *("training.negatives_per_positive=3", "latency_queries=0", "negatives=random", "study=s"),
    *("retriever=bm25", "reranker=cross_encoder", "reranker.fresh_head=true"),
    *("reranker.max_length=32", "hardware=cpu", "hardware.threads=1", "name=tiny"),
]


def write_tiny(folder):
    """Write collection and checkpoint; return the words of a command, which writes beside them."""
    write_beir(folder / "toy", toy_collection())
    checkpoint = save_tiny(folder / "source")
    places = [f"collection.folder={folder / 'toy'}", f"reranker.checkpoint={checkpoint}"]
    return ["collection=files", *QUICK, *places, f"output={folder / 'out'}"]


def folder_of(folder):
    return folder / "out" / "s" / "tiny" / "seed=0"


CLOCKED = ("seconds", "per_second", "_ms", "latency", "memory", "cache")


def read_facts(path):
    """A record without what a clock or the machine says."""

    def without_times(value):
        if not isinstance(value, dict):
            return value
        return {
            key: without_times(held)
            for key, held in value.items()
            if not any(word in key for word in CLOCKED) and key != "cost"
        }

    return without_times(json.loads(path.read_text(encoding="utf-8")))


def read_steps(folder):
    """Steps with a loss, as the log has them."""
    lines = map(json.loads, (folder / "log.jsonl").read_text().splitlines())
    return [line["step"] for line in lines if "loss" in line]
