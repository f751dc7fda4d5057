"""T5 scoring against ``generate``: encoder and one decoder step, packed, for the same scores.

    python benchmarks/t5.py [--json] [--rounds 5] [--size small|base]

One thread, variants interleaved, medians of per-round ratios of processor time. A random network of
T5's own size scores 100 sequences of realistic lengths (mean about 93 tokens); the peer is
``generate(max_new_tokens=2)`` in batches of 32, padded, in the order given.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from torch import Tensor
from transformers import T5Config, T5ForConditionalGeneration

from recross.inference.encoders.affine import freeze_affine
from recross.inference.encoders.families import find_encoder
from recross.inference.encoders.t5_decoder import first_step, read_head_rows
from recross.inference.sequences import Sequences, token_budget
from recross.machine.hardware import Hardware

SIZES = {
    "small": {"d_model": 512, "d_kv": 64, "d_ff": 2048, "num_layers": 6, "num_heads": 8},
    "base": {"d_model": 768, "d_kv": 64, "d_ff": 3072, "num_layers": 12, "num_heads": 12},
}
PIECES = [6136, 1176]
CPU = torch.device("cpu")


def sequences(count: int, seed: int = 0) -> Sequences:
    """Token ids of prompts whose lengths are those of passages: mean about 93, at most 260."""
    rng = np.random.default_rng(seed)
    lengths = np.clip(rng.lognormal(4.42, 0.45, count), 24, 260).astype(np.int64)
    rows = [rng.integers(3, 32000, length).tolist() for length in lengths]
    return Sequences.of(rows, lost=np.zeros((count, 1), dtype=np.int64))


def generating(model: T5ForConditionalGeneration, texts: Sequences) -> Tensor:
    """The peer: batches of 32, padded to their longest."""
    rows = [torch.from_numpy(texts.take([n]).tokens) for n in range(len(texts))]
    scores = []
    for start in range(0, len(rows), 32):
        part = rows[start : start + 32]
        tokens = torch.nn.utils.rnn.pad_sequence(part, batch_first=True)
        mask = (tokens != 0).long()
        out = model.generate(
            input_ids=tokens,
            attention_mask=mask,
            max_new_tokens=2,
            do_sample=False,
            output_scores=True,
            return_dict_in_generate=True,
        )
        scores.append(out.scores[0][:, PIECES])
    return torch.cat(scores).float()


def padded(model: T5ForConditionalGeneration, texts: Sequences, budget: int) -> Tensor:
    """One explicit decoder step over padded batches of a token budget."""
    scores = torch.empty(len(texts), len(PIECES))
    for which in token_budget(texts.lengths, budget):
        tokens, _, mask = texts.take(which).on(CPU).padded(0)
        start = torch.zeros(len(which), 1, dtype=torch.long)
        out = model(input_ids=tokens, attention_mask=mask, decoder_input_ids=start)
        scores[which] = out.logits[:, 0, PIECES].float()
    return scores


def packed(
    model: T5ForConditionalGeneration, dtype: torch.dtype, budget: int
) -> Callable[[Sequences], Tensor]:
    """Ours, with weights frozen once."""
    forward = find_encoder(model.config).forward(model, freeze_affine(dtype, budget), dtype)
    rows = read_head_rows(model, PIECES)

    def score(texts: Sequences) -> Tensor:
        scores = torch.empty(len(texts), len(PIECES))
        for which in token_budget(texts.lengths, budget):
            batch = texts.take(which).on(CPU)
            scores[which] = first_step(model, forward.states(batch), batch) @ rows.T
        return scores

    return score


def main() -> None:
    """Print the table, or one JSON object."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--size", choices=SIZES, default="small")
    options.add_argument("--count", type=int, default=100)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--budget", type=int, default=4096)
    options.add_argument("--json", action="store_true")
    asked = options.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    config = T5Config(
        vocab_size=32128, num_decoder_layers=SIZES[asked.size]["num_layers"], **SIZES[asked.size]
    )
    config.decoder_start_token_id = 0
    model = T5ForConditionalGeneration(config).eval()
    texts = sequences(asked.count)
    variants: dict[str, Callable[[], Tensor]] = {
        "generate, batches of 32": lambda: generating(model, texts),
        "one step, padded, token budget": lambda: padded(model, texts, asked.budget),
    }
    frozen = packed(model, torch.float32, asked.budget)
    variants["packed fp32"] = lambda: frozen(texts)
    if Hardware(precision="bf16").effective_precision == "bf16":
        half = packed(model, torch.bfloat16, asked.budget)
        variants["packed bf16"] = lambda: half(texts)
    report(*measure(variants, asked.rounds), texts, asked.json)


def measure(
    variants: dict[str, Callable[[], Tensor]], rounds: int
) -> tuple[dict[str, list[float]], dict[str, Tensor]]:
    """Seconds of processor time of each variant in each round, and its scores."""
    seconds: dict[str, list[float]] = {name: [] for name in variants}
    with torch.inference_mode():
        scores = {name: run() for name, run in variants.items()}  # warm
        for _ in range(rounds):
            for name, run in variants.items():
                start = time.process_time()
                run()
                seconds[name].append(time.process_time() - start)
    return seconds, scores


def report(
    seconds: dict[str, list[float]], scores: dict[str, Tensor], texts: Sequences, as_json: bool
) -> None:
    """Ratios against the first variant."""
    peer = next(iter(seconds))
    ratios = {
        name: statistics.median(a / b for a, b in zip(seconds[peer], own, strict=True))
        for name, own in seconds.items()
    }
    off = {name: float((own - scores[peer]).abs().max()) for name, own in scores.items()}
    if as_json:
        short = {"packed fp32": "fp32", "packed bf16": "bf16"}
        print(json.dumps({"ratios": {s: ratios[n] for n, s in short.items() if n in ratios}}))
        return
    print(f"{len(texts)} sequences, mean {texts.lengths.mean():.0f} tokens, one thread")
    print(f"{'variant':34}{'ms / 100':>10}{'ratio':>8}{'max |diff|':>12}")
    for name, own in seconds.items():
        per_hundred = statistics.median(own) * 1e5 / len(texts)
        print(f"{name:34}{per_hundred:10,.0f}{ratios[name]:8.2f}{off[name]:12.1e}")


if __name__ == "__main__":
    main()
