"""Commands of Python under a limit of the machine: files of some bytes, memory, open files."""

import os
import resource
import subprocess
import sys
from pathlib import Path


def run_limited(limits, *words, cwd, **more):
    """Run Python with these words where resources have these limits, as ``{RLIMIT_FSIZE: 9}``."""

    def limit():
        for kind, most in limits.items():
            resource.setrlimit(kind, (most, most))

    return subprocess.run(
        [sys.executable, *words],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **more},
        preexec_fn=limit,
        capture_output=True,
        text=True,
    )


def list_files(folder: Path):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
