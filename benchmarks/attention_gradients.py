"""Gradients of attention on a processor: torch's fused kernel against two products and a softmax.

    python benchmarks/attention_gradients.py [--json] [--rounds 7]

One thread, variants interleaved, medians of per-round ratios of processor time: how many times as
long the fused kernel takes, forward and backward, for sequences of one length in 12 heads of 32.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from rounds import processor_seconds
from torch import Tensor

from recross.inference.encoders.attention import attend_plainly
from recross.machine.processor import read_processor_name

HEADS, SIZE = 12, 32
BATCHES = [(2, 80), (8, 96), (8, 128), (8, 256), (4, 512)]


def learn(attend: Callable[..., Tensor], rows: Tensor, count: int) -> None:
    """Attend within each of ``count`` sequences of equal length, and go back."""
    query, key, value = rows.view(count, -1, 3, HEADS, SIZE).permute(2, 0, 3, 1, 4)
    torch.autograd.grad(attend(query, key, value).sum(), rows)


def main() -> None:
    """Print a line for each type and length, or one JSON object."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    ratios: dict[str, float] = {}
    for dtype in (torch.bfloat16, torch.float32):
        for count, length in BATCHES:
            rows = torch.randn(count * length, 3 * HEADS * SIZE, dtype=dtype, requires_grad=True)
            variants = {
                "fused": partial(learn, F.scaled_dot_product_attention, rows, count),
                "plain": partial(learn, attend_plainly, rows, count),
            }
            for warm in variants.values():
                warm()
            took = processor_seconds(variants, arguments.rounds)
            each = [fused / plain for fused, plain in zip(*took.values(), strict=True)]
            name = f"{str(dtype).removeprefix('torch.')} {count} x {length}"
            ratios[name] = round(statistics.median(each), 2)
    processor = read_processor_name()
    lines = [processor, *(f"{name}: {ratio}" for name, ratio in ratios.items())]
    result = {"processor": processor, "fused_over_plain": ratios}
    said = json.dumps(result) if arguments.json else "\n".join(lines)
    sys.stdout.write(said + "\n")


if __name__ == "__main__":
    main()
