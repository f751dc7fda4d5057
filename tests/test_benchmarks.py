"""The measurements in benchmarks/, which no other test runs, name what is there."""

import ast
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import pytest

SCRIPTS = sorted((Path(__file__).parents[1] / "benchmarks").glob("*.py"))


def find(module, name):
    """A name of a module, or a module of a package."""
    if hasattr(import_module(module), name):
        return getattr(import_module(module), name)
    assert find_spec(f"{module}.{name}"), f"{module} has no {name}"
    return import_module(f"{module}.{name}")


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_what_a_benchmark_takes_from_the_library_is_there(script):
    tree, modules = ast.parse(script.read_text()), dict[str, ModuleType]()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("recross"):
            for alias in node.names:
                found = find(node.module, alias.name)
                if isinstance(found, ModuleType):
                    modules[alias.asname or alias.name] = found
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            module = modules.get(node.value.id)
            assert module is None or hasattr(module, node.attr), ast.unparse(node)
