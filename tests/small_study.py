"""A finished study of four queries, written by hand, for tests of its page."""

from recross.report.finished import find_finished
from recross.report.page.page import write_page
from recross.report.tables.rows import make_rows
from recross.runs import Run
from recross.store import write_json

HOSTILE = (
    "</script><script>window.hacked = 1</script>"
    "<img src=x onerror='window.hacked = 2'> & \u2028 ü 文"
)
BEFORE = {"q1": 0.5, "q2": 1.0, "q3": 0.0, "q4": 0.25}
AFTER = {"q1": 1.0, "q2": 1.0, "q3": 0.5, "q4": 0.0}
DOCUMENTS = [f"d{number}" for number in range(1, 13)]
FIRST = dict.fromkeys(BEFORE, DOCUMENTS)
LAST_TO_TOP = {query_id: [DOCUMENTS[-1], *DOCUMENTS[:-1]] for query_id in BEFORE}
"""Document 12 comes first, every other one falls by one rank."""
TEXTS = {
    "queries": {"q1": "one <b>bold</b> question", "q2": "two", "q3": "three", "q4": HOSTILE},
    "relevant": {"q1": ["d12"], "q2": [], "q3": ["d1", "lost"], "q4": ["d2"]},
    "documents": {"d1": "the first document", "d12": HOSTILE},
}


def run_of(order):
    return Run.from_scores(
        "r",
        {
            query_id: {doc_id: float(100 - rank) for rank, doc_id in enumerate(doc_ids)}
            for query_id, doc_ids in order.items()
        },
    )


def record(label, values, first, reranks=True, latency=2000.0, size_mb=60.0):
    mean = sum(values.values()) / len(values)
    before = sum(first.values()) / len(first)
    times = {"p50": latency, "p95": latency, "tokenize": 9.0, "forward": latency}
    return {
        "study": "small",
        "label": label,
        "seed": 0,
        "depth": 12,
        "status": "done",
        "collection": {"class": "Files"},
        "collection_name": "files of mine",
        "retriever": {"class": "BM25"},
        "reranks": reranks,
        "candidates": "BM25 k1=0.9 b=0.4 top 12" if reranks else "full collection",
        "base_checkpoint": "a/model" if reranks else None,
        "measures": {"MRR@10": mean},
        "intervals": {"MRR@10": [mean - 0.1, mean + 0.1]},
        "p_values": {"MRR@10": 0.5},
        "first_stage_measures": {"MRR@10": before},
        "interpolation": None,
        "latency_ms_per_100": times if reranks else None,
        "first_stage_ms": {"p50": 12.0, "p95": 15.0},
        "pairs_per_second": 40.0 if reranks else None,
        "cost": {},
        "queries": {"asked": len(values), "scored": len(values)},
        "precision": "fp32",
        "backend": "torch",
        "training": {"best_step": 2},
        "parameters": 15_000_000 if reranks else None,
        "size_mb": size_mb if reranks else None,
    }


def environment(*command, precision="fp32"):
    return {
        "packages": {"torch": "2.13", "wandb": None},
        "python": "3.11.7",
        "gpus": [],
        "precision": precision,
        "git": {"commit": "abc", "dirty": False},
        "command": list(command),
    }


def write_experiment(folder, found, values, first, orders, texts=None, steps=()):
    """``orders`` are those of the first stage and of the re-ranker."""
    for name, order in zip(("candidates", "reranked"), orders, strict=True):
        run_of(order).write(folder / f"{name}.trec")
    parts = {"reranked": values, "first_stage": first}
    write_json(
        folder / "measures.json",
        {name: {"per_query": {"MRR@10": own}} for name, own in parts.items()},
    )
    if texts is not None:
        write_json(folder / "texts.json", texts)
    lines = ['{"event": "start"}', *steps]
    (folder / "log.jsonl").write_text("\n".join(lines) + "\n")
    write_json(folder / "result.json", found)


STEPS = [
    '{"event": "step", "step": 1, "loss": 2.0, "learning_rate": 0.1}',
    '{"event": "step", "step": 2, "loss": 1.0, "dev MRR@10": 0.5}',
    '{"event": "step", "step": 3, "loss": NaN, "dev MRR@10": 0.25}',
]


def write_study(folder, texts=TEXTS):
    """A re-ranker that puts document 12 first, another, slower one, and their first stage."""
    found = record("quick", AFTER, BEFORE)
    write_experiment(
        folder / "quick", found, AFTER, BEFORE, (FIRST, LAST_TO_TOP), texts, steps=STEPS
    )
    write_json(
        folder / "quick" / "environment.json", environment("recross", "run", "seed=0", "a b")
    )
    found = record("slow", BEFORE, BEFORE, latency=10_000.0, size_mb=90.0)
    write_experiment(folder / "slow", found, BEFORE, BEFORE, (FIRST, FIRST), texts)
    bf16 = environment("/bin/recross", "run", "seed=1", precision="bf16")
    write_json(folder / "slow" / "environment.json", bf16)
    found = record("first", BEFORE, BEFORE, reranks=False)
    write_experiment(folder / "first", found, BEFORE, BEFORE, (FIRST, FIRST), texts)
    return folder


def page_of(folder):
    """Write the page of everything finished under the folder."""
    finished = find_finished([folder])
    return write_page(make_rows([one.record for one in finished], {}), finished, folder)
