"""Causal re-rankers: one forward without padding, a common start computed once, for equal scores.

    python benchmarks/causal.py [--json] [--rounds 3] [--layers 28] [--precision fp32|bf16]

One thread, variants interleaved, medians of per-round ratios of processor time. Layers are of
Qwen3-Reranker-0.6B's size with random weights; with fewer than its 28 the last one, which carries
last tokens alone, counts for more than it does. Prompts begin with 80 tokens of instruction, then
one of four queries; documents have the lengths of passages. The peer is transformers' own forward
in batches of 32, in the order given.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
from collections.abc import Callable
from dataclasses import replace

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from rounds import processor_seconds
from torch import Tensor
from transformers import Qwen3Config, Qwen3ForCausalLM

from recross.inference.encoders.encoder import EncoderForward
from recross.inference.encoders.families import PADDED, find_encoder
from recross.inference.sequences import Sequences, by_length, token_budget
from recross.machine.hardware import Hardware

INSTRUCTION, QUERY, END = 80, 10, 9
"""Tokens of the chat turns and the instruction, of a query, of what closes the prompt."""
BUDGET = 4096
CPU = torch.device("cpu")


def make_model(layers: int) -> Qwen3ForCausalLM:
    """A random network; its vocabulary is small, since few rows are read."""
    torch.manual_seed(0)
    config = Qwen3Config(
        vocab_size=8000,
        hidden_size=1024,
        num_hidden_layers=layers,
        num_attention_heads=16,
        num_key_value_heads=8,
        head_dim=128,
        intermediate_size=3072,
        pad_token_id=0,
    )
    return Qwen3ForCausalLM(config).eval()


def make_prompts(count: int) -> Sequences:
    """Token ids of prompts: of documents in random order, mean about 75 tokens."""
    rng = np.random.default_rng(0)
    start, end = rng.integers(3, 8000, INSTRUCTION).tolist(), rng.integers(3, 8000, END).tolist()
    queries = [rng.integers(3, 8000, QUERY).tolist() for _ in range(4)]
    lengths = np.clip(rng.lognormal(4.2, 0.45, count), 10, 240).astype(np.int64)
    rows = [
        [*start, *queries[n % 4], *rng.integers(3, 8000, length).tolist(), *end]
        for n, length in enumerate(lengths)
    ]
    return Sequences.of(rows, np.zeros((count, 2), dtype=np.int64))


def score(forward: EncoderForward, rows: Tensor, prompts: Sequences, packs: bool) -> Tensor:
    """Logits of two answers, by a token budget or in the order given."""
    scores = torch.empty(len(prompts), len(rows))
    in_order = np.array_split(np.arange(len(prompts)), -(-len(prompts) // 32))
    for some in token_budget(prompts.lengths, BUDGET) if packs else in_order:
        which = some[by_length(prompts.lengths[some])]
        batch = prompts.take(which).on(CPU)
        scores[which] = forward.last_states(batch).float() @ rows.T
    return scores


def main() -> None:
    """Print the table, or one JSON object."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--layers", type=int, default=28)
    options.add_argument("--count", type=int, default=24)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--precision", choices=["fp32", "bf16"], default="fp32")
    options.add_argument("--json", action="store_true")
    asked = options.parse_args()
    torch.set_num_threads(1)
    model, hardware = make_model(asked.layers), Hardware(precision=asked.precision)
    prompts, rows = make_prompts(asked.count), model.get_output_embeddings().weight[[9, 5]].float()
    own = find_encoder(model.config).frozen(model, hardware)
    theirs = PADDED.frozen(model, hardware)
    alone = replace(prompts, shared=0)
    variants: dict[str, Callable[[], Tensor]] = {
        "transformers, batches of 32": lambda: score(theirs, rows, prompts, packs=False),
        "transformers, token budget": lambda: score(theirs, rows, prompts, packs=True),
        "without padding": lambda: score(own, rows, alone, packs=True),
        "common start once": lambda: score(own, rows, prompts, packs=True),
    }
    with torch.inference_mode():
        scores = {name: run() for name, run in variants.items()}  # warm
        seconds = processor_seconds(variants, asked.rounds)
    report(seconds, scores, prompts, asked.json)


def report(
    seconds: dict[str, list[float]], scores: dict[str, Tensor], prompts: Sequences, as_json: bool
) -> None:
    """Ratios against the first variant, and how far scores are from its own."""
    peer = next(iter(seconds))
    ratios = {
        name: statistics.median(a / b for a, b in zip(seconds[peer], own, strict=True))
        for name, own in seconds.items()
    }
    if as_json:
        print(json.dumps({"ratios": ratios}))
        return
    print(f"{len(prompts)} prompts, mean {prompts.lengths.mean():.0f} tokens, one thread")
    print(f"{'variant':30}{'s':>8}{'ratio':>8}{'max |diff|':>12}")
    for name, own in seconds.items():
        off = float((scores[name] - scores[peer]).abs().max())
        print(f"{name:30}{statistics.median(own):8.2f}{ratios[name]:8.2f}{off:12.1e}")


if __name__ == "__main__":
    main()
