"""What importing BM25 leaves alone; its scores are held in test_retrieval.py."""

import os
import subprocess
import sys

import pytest


@pytest.mark.ci  # a process of its own imports torch
def test_it_is_imported_without_jax_which_takes_most_of_a_gpu(tmp_path):
    (tmp_path / "jax").mkdir()
    (tmp_path / "jax" / "__init__.py").write_text("import os\nopen(os.environ['SEEN'], 'a')\n")
    script = (
        "import os\n"
        "import recross.retrieval.bm25\n"
        "assert not os.path.exists(os.environ['SEEN'])\n"
        "import jax\n"
        "assert os.path.exists(os.environ['SEEN'])\n"
    )
    paths = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, "PYTHONPATH": paths, "SEEN": str(tmp_path / "seen")}
    subprocess.run([sys.executable, "-c", script], check=True, env=environment)
