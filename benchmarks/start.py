"""What commands take to start: processor seconds, modules, heavy libraries.

    python benchmarks/start.py [--against TREE] [--repeats 3]

Each line is run in a process of its own, in an empty folder, and its least processor seconds are
told, those of the system included: other work on the machine does not count. With ``--against``,
another checkout of this project, both run in turn.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parents[1]
HEAVY = (
    *("torch", "transformers", "sentence_transformers", "pytorch_lightning", "wandb", "scipy"),
    *("sklearn", "pandas", "matplotlib", "faiss", "ir_datasets", "onnxruntime"),
)
LINES = (
    "--help",
    "options",
    "contracts",
    "run --cfg job",
    "doctor",
    "run reranker=minilm6",
    "run training.learning_rate=-1",
    "rerank candidates=nowhere.trec",
    "from recross import load_reranker",
)
"""Words of ``recross``, or a statement of Python."""
PROBE = """
import json, sys, time
line = sys.argv[1]
try:
    if line.startswith("from "):
        exec(line)
    else:
        from recross.command.cli import main
        main(line.split())
finally:
    print("\\n" + json.dumps([time.process_time(), sorted(sys.modules)]))
"""


class Start(NamedTuple):
    """What one line took: processor seconds and modules."""

    seconds: float
    modules: frozenset[str]

    @property
    def heavy(self) -> str:
        return ", ".join(name for name in HEAVY if name in self.modules) or "none"


def measure(line: str, tree: Path, folder: Path) -> Start:
    """Run a line with the code of a tree."""
    variables = {"PYTHONPATH": str(tree / "src"), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", PROBE, line],
        cwd=folder,
        env={**os.environ, **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        check=True,
    )
    seconds, modules = json.loads(done.stdout.splitlines()[-1])
    return Start(seconds, frozenset(modules))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--against", type=Path, metavar="TREE", help="another checkout")
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    trees = [tree.resolve() for tree in (arguments.against, HERE) if tree is not None]
    said = ("before", "now") if arguments.against else ("now",)
    columns = [f"{what}, {when}" for when in said for what in ("seconds", "modules", "heavy")]
    print("| line | " + " | ".join(columns) + " |")
    print("| --- |" + " ---: | ---: | --- |" * len(said))
    with tempfile.TemporaryDirectory() as folder:
        for line in LINES:
            starts: dict[Path, list[Start]] = {tree: [] for tree in trees}
            for _ in range(arguments.repeats):
                for tree in trees:
                    starts[tree].append(measure(line, tree, Path(folder)))
            least = [min(starts[tree]) for tree in trees]
            cells = [f"{s.seconds:.2f} | {len(s.modules):,} | {s.heavy}" for s in least]
            print(f"| `{line}` | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
