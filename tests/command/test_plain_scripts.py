"""What README shows in Python runs as a plain script, without ``if __name__ == "__main__"``."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.ci  # each script is a process of its own, of ten seconds

SCRIPT = """
from recross import load_experiment

experiment = load_experiment(
    *{arguments}
)
print(experiment.run()["measures"])
"""
SMALL = ["collection.packages=[networkx]", "collection.size=60", "latency_queries=0"]


def ran(folder, arguments):
    script = folder / "script.py"
    script.write_text(SCRIPT.format(arguments=[*arguments, *SMALL]))
    return subprocess.run(
        [sys.executable, script], cwd=folder, capture_output=True, text=True, timeout=300
    )


def test_the_python_twin_of_an_experiment_prints_its_measures(tmp_path):
    done = ran(tmp_path, ["retriever=bm25", "reranker=none"])
    assert done.returncode == 0, done.stderr
    assert "'MRR@10': " in done.stdout


def test_a_plain_script_that_trains_on_two_devices_is_told_to_guard_its_work(tmp_path):
    training = ["training=smoke", "training.steps=2", "hardware.devices=2", "hardware.threads=1"]
    done = ran(tmp_path, ["retriever=bm25", "reranker=embedded_l2", *training])
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert "InputError: hardware.devices must be 1 in a script that does its work outside" in last
    assert f"got 2 in line 7 of {tmp_path / 'script.py'}" in last
