"""Every notebook of the docs runs from its first cell to its last, and shows what it prints."""

import contextlib
import io
import json
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"
NOTEBOOKS = sorted(DOCS.rglob("*.ipynb"))


def cells(notebook):
    """Its cells of code, each as its source and what is shown of its output."""
    for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] == "code":
            shown = "".join("".join(output["text"]) for output in cell["outputs"])
            yield "".join(cell["source"]), shown


@pytest.mark.ci
@pytest.mark.timeout(3600)  # minutes on a machine that does nothing else
@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_and_each_cell_prints_as_many_lines_as_it_shows(
    notebook, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "notebook"}
    for source, shown in cells(notebook):
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            exec(source, names)
        assert len(printed.getvalue().splitlines()) == len(shown.splitlines()), source
