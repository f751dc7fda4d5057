"""Processes that run one experiment at the same time make everything once, and agree."""

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.experiment.tiny_experiment import folder_of, read_facts, read_steps, write_tiny

COUNTING = """
import sys
from pathlib import Path
import recross.store as store

whole, made, words = store._make, Path(sys.argv[1]), sys.argv[2:]

def counted(folder, *arguments):
    with made.open("a") as file:
        file.write(f"{folder.parent.name}/{folder.name}\\n")
    whole(folder, *arguments)

store._make = counted
from recross.command.cli import main
sys.exit(main(words))
"""


def run_at_once(folder, count):
    """Start so many processes on one experiment; returns what they said and what was made."""
    root = Path(__file__).parents[2]
    made = folder / "made.txt"
    environment = {**os.environ, "PYTHONPATH": f"{root / 'src'}{os.pathsep}{root}"}
    words = ["run", *write_tiny(folder)]
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", COUNTING, str(made), *words],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env={**environment, "OMP_NUM_THREADS": "1"},
        )
        for _ in range(count)
    ]
    said = [process.communicate()[1] for process in processes]
    assert [process.returncode for process in processes] == [0] * count, said
    return said, Counter(made.read_text().splitlines())


@pytest.mark.parametrize("count", [4, pytest.param(10, marks=pytest.mark.ci)])
@pytest.mark.timeout(1800)
def test_processes_on_one_experiment_make_each_artefact_once_and_share_the_result(tmp_path, count):
    said, made = run_at_once(tmp_path, count)
    assert set(made.values()) == {1}
    kinds = {name.partition("/")[0] for name in made}
    assert kinds >= {"bm25", "runs", "negatives", "checkpoints"}
    assert sum("finished before, reused" in text for text in said) == count - 1
    waited = [text for text in said if "waiting for process" in text]
    assert len(waited) >= 1  # a process that starts late may find everything done
    assert sum("training on" in text for text in said) == 1
    record = read_facts(folder_of(tmp_path) / "result.json")
    assert record["status"] == "done"
    assert read_steps(folder_of(tmp_path)) == [1, 2, 3, 4]
    assert not list((tmp_path / "out").rglob("*partial*"))
