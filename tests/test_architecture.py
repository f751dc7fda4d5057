"""The house: who may import whom, and what lies where."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "recross"


def test_imports_flow_down_and_every_heavy_library_has_one_home():
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_every_module_is_in_a_layer():
    contract = (ROOT / ".importlinter").read_text().partition("layers =")[2].partition("\n\n")[0]
    named = {
        name.strip() for line in contract.splitlines() for name in line.replace("|", ":").split(":")
    }
    modules = {f"recross.{path.stem}" for path in SOURCE.iterdir() if path.suffix in ("", ".py")}
    assert modules - named - {"recross.__init__", "recross.__pycache__"} == set()


def test_no_module_has_a_name_that_says_nothing():
    empty = {"utils", "util", "common", "base", "helper", "helpers", "manager", "handler", "misc"}
    assert not empty & {path.stem for path in SOURCE.rglob("*")}


def test_files_stay_small():
    longest = max(SOURCE.rglob("*.py"), key=lambda path: len(path.read_text().splitlines()))
    assert len(longest.read_text().splitlines()) <= 360, longest
