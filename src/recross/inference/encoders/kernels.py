"""Which kernels this process computes with on a processor, and what a probe found."""

from __future__ import annotations

import torch

from recross.inference.encoders.affine import choose_blocked, multiplies_blocked
from recross.inference.encoders.one_by_one import choose_one_by_one

TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


def describe_kernels() -> dict[str, str]:
    """Each kernel that has two forms, and which form is taken."""
    found = {"attention, fp32": str(choose_one_by_one())}
    for name, dtype in TYPES.items():
        found[f"linear layers, {name}"] = (
            str(choose_blocked(dtype)) if multiplies_blocked(dtype) else "torch's (no blocked form)"
        )
    return found
