"""The console script itself: what it loads, and what it says."""

import subprocess
import sys

LOADED = """
import sys
from recross.command.cli import main

main(["options"])
print(sorted({"torch", "transformers", "pytorch_lightning"} & sys.modules.keys()))
"""


def test_options_are_listed_without_waiting_for_torch():
    done = subprocess.run([sys.executable, "-c", LOADED], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"
