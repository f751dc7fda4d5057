"""What is half written in a folder, and who wrote it."""

import signal
import subprocess
import sys

from recross.artefacts.folders import remove_partials

SAVE_FOR_EVER = """
import sys, torch
from safetensors.torch import save_file
weights = {"w": torch.zeros(1 << 22)}
while True:
    save_file(weights, sys.argv[1])
"""


def test_what_a_killed_save_of_weights_leaves_is_removed(tmp_path):
    target = tmp_path / "model.safetensors"
    process = subprocess.Popen([sys.executable, "-c", SAVE_FOR_EVER, str(target)])
    while process.poll() is None and not (set(tmp_path.iterdir()) - {target}):
        pass
    process.send_signal(signal.SIGKILL)
    process.wait()
    (tmp_path / "kept.json").touch()
    remove_partials(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} <= {"kept.json", target.name}
    assert (tmp_path / "kept.json").exists()
