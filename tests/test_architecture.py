"""The house: who may import whom, and what lies where."""

import ast
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "recross"
PUBLISHED_TABLES = ("CHECKPOINTS", "CONTRACTS")


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


def test_the_root_holds_the_vocabulary_alone():
    assert len(list(SOURCE.glob("*.py"))) <= 7


def test_files_stay_small():
    longest = max(SOURCE.rglob("*.py"), key=lambda path: len(path.read_text().splitlines()))
    assert len(longest.read_text().splitlines()) <= 250, longest


def test_a_public_name_means_one_thing():
    places = defaultdict(set)
    for path in SOURCE.rglob("*.py"):
        for name in names_defined_in(ast.parse(path.read_text())):
            places[name].add(path.relative_to(SOURCE).as_posix())
    twice = {name: sorted(paths) for name, paths in places.items() if len(paths) > 1}
    for name in PUBLISHED_TABLES:  # every module of published checkpoints says its own
        assert all(path.startswith("checkpoints/published/") for path in twice.pop(name))
    assert not twice


def names_defined_in(module: ast.Module) -> set[str]:
    names = set()
    for node in module.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names |= {target.id for target in targets if isinstance(target, ast.Name)}
    return {name for name in names if not name.startswith("_")} - {"logger"}


def test_a_terminal_interrupts_no_process_but_the_one_that_ends_the_others():
    for path in SOURCE.rglob("*.py"):
        text = path.read_text()
        assert text.count("subprocess.Popen(") == text.count("process_group=0,"), path
