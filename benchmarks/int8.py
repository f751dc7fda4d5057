"""Forms of a cross-encoder in 8 bits: how fast, how near to fp32, and whether neighbours matter.

    python benchmarks/int8.py outputs/performance_table/biencoder.embedded_l6/seed=0 [--json]

Takes the folder of a finished experiment: its checkpoint, its candidates, its collection. One
thread, variants interleaved, medians of per-round ratios of processor time against the packed fp32
forward. ``neighbours`` is the largest change of a score when batches hold 256 tokens instead of
2,048. OpenVINO's forms are tried where openvino and nncf are installed.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
import yaml
from torch import Tensor, nn

from recross.config import build
from recross.hardware import Hardware
from recross.inference import packed
from recross.inference.affine import APPLY, Activation, Affine, MakeAffine, frozen_affine, fused
from recross.inference.backends import onnx_runtime
from recross.inference.backends.classifier import padded_inputs
from recross.inference.backends.int8_affine import MIDDLE, int8_affine, quantised_weight
from recross.inference.batches import PackedBatch, token_budget
from recross.inference.quality_gate import Judgments, compare
from recross.inference.tokens import Sequences
from recross.rerankers.cross_encoder import CrossEncoder
from recross.runs import Run

Form = Callable[[PackedBatch], Tensor]
CPU = torch.device("cpu")
BUDGET, SMALL_BUDGET = 2048, 256


class Task:
    """The pairs of some test queries as token sequences, and what decides about their order."""

    def __init__(self, folder: Path, queries: int) -> None:
        config = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
        collection = build(config["collection"]).load()
        run = Run.read(folder / "candidates.trec")
        judged = collection.qrels(config["test_split"])
        self.candidates = run.restrict([q for q in run.rankings if q in judged][:queries])
        qrels = {query_id: judged[query_id] for query_id in self.candidates.rankings}
        self.judgments = Judgments(qrels, "MRR@10", collection.relevant_from)
        self.network = CrossEncoder(str(folder / "checkpoint")).load()
        pairs = [(q, d.doc_id) for q, ranking in self.candidates.rankings.items() for d in ranking]
        texts = (
            [collection.queries[q] for q, _ in pairs],
            [collection.documents[d] for _, d in pairs],
        )
        self.sequences = self.network.encode(*texts, [(n, n) for n in range(len(pairs))])

    def batches(self, count: int | None = None, budget: int = BUDGET) -> Iterator[Any]:
        """Numbers of sequences with their batch; ``count`` takes them evenly from all."""
        chosen = np.arange(len(self.sequences))
        if count is not None:
            chosen = np.linspace(0, len(chosen) - 1, count).astype(np.int64)
        part: Sequences = self.sequences.take(chosen)
        for which in token_budget(part.lengths, budget):
            yield which, PackedBatch.of(part.take(which), CPU)

    def scores(self, form: Form, count: int | None = None, budget: int = BUDGET) -> np.ndarray:
        """Logits in the order of the pairs."""
        found = np.empty(len(self.sequences) if count is None else count, dtype=np.float32)
        for which, batch in self.batches(count, budget):
            found[which] = form(batch).squeeze(-1).float().numpy()
        return found

    def run(self, scores: np.ndarray) -> Run:
        """Scores of all pairs as a run."""
        values = iter(scores.tolist())
        rankings = self.candidates.rankings
        return Run.from_scores(
            "form",
            {q: {d.doc_id: next(values) for d in ranking} for q, ranking in rankings.items()},
        )


def packed_form(model: Any, make: MakeAffine, dtype: torch.dtype = torch.float32) -> Form:
    layers = packed.blocks(model, make)
    return lambda batch: packed.forward(model, layers, batch, dtype)


def only(chosen: Collection[nn.Module], reduced: MakeAffine) -> MakeAffine:
    """Reduce these layers, leave the others in fp32."""
    exact, ids = frozen_affine(torch.float32, BUDGET), set(map(id, chosen))
    return lambda layers: reduced(layers) if id(layers[0]) in ids else exact(layers)


def scale_per_batch(layers: Sequence[nn.Linear]) -> Affine:
    """The dynamic quantisation of torch: one scale for all tokens of a batch."""
    weight, bias = (part.detach() for part in fused(layers))
    codes, scales = quantised_weight(weight)
    stored = torch._make_per_channel_quantized_tensor(
        codes, scales.double(), torch.zeros(len(codes), dtype=torch.long), 0
    )
    blocked = torch.ops.quantized.linear_prepack(stored, bias)

    def apply(states: Tensor, activation: Activation = "none") -> Tensor:
        return APPLY[activation](torch.ops.quantized.linear_dynamic(states, blocked, True))

    return apply


class Product:
    """A product of unsigned bytes with a weight of one scale per output, without a bias."""

    def __init__(self, weight: Tensor) -> None:
        codes, self.scales = quantised_weight(weight)
        self.blocked = torch.ops.onednn.qlinear_prepack(codes, [BUDGET, codes.shape[1]])
        self.zeros = torch.zeros(len(codes), dtype=torch.int32)
        self.sums = codes.sum(dim=1).float() * self.scales

    def __call__(self, codes: Tensor, zero: int) -> Tensor:
        out: Tensor = torch.ops.onednn.qlinear_pointwise(
            codes, 1.0, zero, self.blocked, self.scales, self.zeros, None,
            1.0, 0, torch.float32, "none", [], "",
        )  # fmt: skip
        return out


def asymmetric(layers: Sequence[nn.Linear]) -> Affine:
    """A scale and a zero per token: all 255 steps between its least and its largest value."""
    weight, bias = (part.detach() for part in fused(layers))
    product = Product(weight)

    def apply(states: Tensor, activation: Activation = "none") -> Tensor:
        low, high = torch.aminmax(states, dim=1, keepdim=True)
        scales = (high - low).clamp_min_(1e-12) / 255
        codes = ((states - low) / scales).round_().to(torch.uint8)
        out = product(codes, 0).mul_(scales)
        return APPLY[activation](out.addcmul_(low, product.sums).add_(bias))

    return apply


def two_parts(layers: Sequence[nn.Linear]) -> Affine:
    """Tokens in 15 bits as two bytes, two products: what is left is the error of the weights."""
    weight, bias = (part.detach() for part in fused(layers))
    product = Product(weight)

    def apply(states: Tensor, activation: Activation = "none") -> Tensor:
        scales = states.abs().amax(dim=1, keepdim=True).clamp_min_(1e-12) / 127
        whole = states / scales
        high = whole.round()
        low = (whole - high).mul_(254).add_(MIDDLE).round_().to(torch.uint8)
        out = product(high.add_(MIDDLE).to(torch.uint8), MIDDLE)
        out.add_(product(low, MIDDLE), alpha=1 / 254)
        return APPLY[activation](out.mul_(scales).add_(bias))

    return apply


def exact_activations(layers: Sequence[nn.Linear]) -> Affine:
    """Weights rounded to 8 bits, products in fp32: no gain in speed, the share of the weights."""
    weight, bias = (part.detach() for part in fused(layers))
    codes, scales = quantised_weight(weight)
    rounded = codes.float() * scales[:, None]
    return lambda states, activation="none": APPLY[activation](
        nn.functional.linear(states, rounded, bias)
    )


def smooth(task: Task, inner: MakeAffine, strength: float = 0.5) -> MakeAffine:
    """SmoothQuant (Xiao et al. 2023): large input channels hand part of their range to weights."""
    largest: dict[int, Tensor] = {}
    exact = frozen_affine(torch.float32, BUDGET)

    def observing(layers: Sequence[nn.Linear]) -> Affine:
        inside, key = exact(layers), id(layers[0])

        def apply(states: Tensor, activation: Activation = "none") -> Tensor:
            seen = states.abs().amax(dim=0)
            largest[key] = torch.maximum(largest.get(key, seen), seen)
            return inside(states, activation)

        return apply

    task.scores(packed_form(task.network.model, observing), count=200)

    def make(layers: Sequence[nn.Linear]) -> Affine:
        weight, bias = (part.detach() for part in fused(layers))
        reach = largest[id(layers[0])].clamp_min(1e-5)
        factors = reach**strength / weight.abs().amax(dim=0).clamp_min(1e-5) ** (1 - strength)
        moved = nn.Linear(weight.shape[1], weight.shape[0])
        moved.weight, moved.bias = nn.Parameter(weight * factors), nn.Parameter(bias)
        inside, inverse = inner([moved]), 1 / factors
        return lambda states, activation="none": inside(states * inverse, activation)

    return make


def onnx_forms(model: Any, store: Path) -> dict[str, Form]:
    from onnxruntime import InferenceSession, SessionOptions
    from onnxruntime.quantization import QuantType, quantize_dynamic

    exact = onnx_runtime.session(model, Hardware(backend="onnx", threads=1, store=store))
    (source,) = store.glob("onnx/*/model.onnx")
    quantize_dynamic(source, store / "int8.onnx", per_channel=True, weight_type=QuantType.QInt8)
    options = SessionOptions()
    options.intra_op_num_threads = 1
    reduced = InferenceSession(str(store / "int8.onnx"), options)
    return {
        "ONNX Runtime fp32": lambda b: onnx_runtime.logits(exact, padded_inputs(model, b)),
        "ONNX Runtime int8, scale per batch": lambda b: onnx_runtime.logits(
            reduced, padded_inputs(model, b)
        ),
    }


def openvino_forms(task: Task, store: Path) -> dict[str, Form]:
    import nncf
    import openvino

    model = task.network.model
    (source,) = store.glob("onnx/*/model.onnx")
    exact = openvino.convert_model(source)
    inputs = [
        {name: t.numpy() for name, t in padded_inputs(model, batch).items()}
        for _, batch in task.batches(count=300, budget=512)
    ]
    kind = nncf.ModelType.TRANSFORMER
    reduced = nncf.quantize(exact.clone(), nncf.Dataset(inputs), model_type=kind)
    settings = {"INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": "f32"}

    def form(network: Any) -> Form:
        compiled = openvino.Core().compile_model(network, "CPU", settings)

        def logits(batch: PackedBatch) -> Tensor:
            given = {name: t.numpy() for name, t in padded_inputs(model, batch).items()}
            return torch.from_numpy(compiled(given)["logits"].copy())

        return logits

    return {"OpenVINO fp32": form(exact), "OpenVINO int8, calibrated (nncf)": form(reduced)}


def forms(task: Task, store: Path) -> dict[str, Form]:
    """All that is tried; the first is what the others are measured against."""
    model = task.network.model
    encoder = packed._encoder(model).encoder.layer
    up = [layer.intermediate.dense for layer in encoder]
    down = [layer.output.dense for layer in encoder]
    tokens = int8_affine(BUDGET)
    made = {
        "fp32": frozen_affine(torch.float32, BUDGET),
        "int8 weights, fp32 activations": exact_activations,
        "int8, scale per batch": scale_per_batch,
        "int8, scale per token": tokens,
        "int8, scale and zero per token": asymmetric,
        "int8, scale per token, SmoothQuant": smooth(task, tokens),
        "int8, scale and zero per token, feed-forward only": only([*up, *down], asymmetric),
        "int8, scale and zero per token, up only": only(up, asymmetric),
        "int8, two bytes per activation": two_parts,
    }
    found = {name: packed_form(model, make) for name, make in made.items()}
    if Hardware(precision="bf16").effective_precision == "bf16":
        found["bf16"] = packed_form(model, frozen_affine(torch.bfloat16, BUDGET), torch.bfloat16)
    found |= onnx_forms(model, store)
    if find_spec("openvino") and find_spec("nncf"):
        found |= openvino_forms(task, store)
    return found


def ratios(task: Task, tried: Mapping[str, Form], rounds: int, count: int) -> dict[str, float]:
    """How many times faster than the first; medians of per-round ratios."""
    spent: dict[str, list[float]] = {name: [] for name in tried}
    for _ in range(rounds + 1):
        for name, form in tried.items():
            start = time.process_time()
            task.scores(form, count)
            spent[name].append(time.process_time() - start)
    base, *_ = spent.values()
    return {
        name: statistics.median(b / own for b, own in zip(base[1:], times[1:], strict=True))
        for name, times in spent.items()
    }


@torch.inference_mode()
def main() -> None:
    """Print the table, or one JSON object."""
    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("experiment", type=Path)
    options.add_argument("--queries", type=int, default=30)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--timed", type=int, default=200, help="pairs that are timed")
    options.add_argument("--json", action="store_true")
    asked = options.parse_args()
    torch.set_num_threads(1)
    task = Task(asked.experiment, asked.queries)
    with tempfile.TemporaryDirectory() as store, torch.inference_mode(False), torch.no_grad():
        tried = forms(task, Path(store))
        faster = ratios(task, tried, asked.rounds, asked.timed)
        reference = task.run(task.scores(tried["fp32"]))
        rows: dict[str, dict[str, Any]] = {}
        for name, form in tried.items():
            alone = task.scores(form, asked.timed, SMALL_BUDGET)
            rows[name] = {
                "times_faster": faster[name],
                "neighbours": float(np.abs(alone - task.scores(form, asked.timed)).max()),
                **compare(task.run(task.scores(form)), reference, task.judgments),
            }
            if not asked.json:
                print(_line(name, rows[name]), flush=True)
    if asked.json:
        print(json.dumps({"queries": asked.queries, "forms": rows}, indent=2))


def _line(name: str, row: Mapping[str, Any]) -> str:
    return (
        f"{name:<50} {row['times_faster']:5.2f}x  diff {row['score_difference']:.4f}"
        f"  tau {row['tau_mean']:.4f} min {row['tau_min']:.3f}  top10 {row['top_10_overlap']:.3f}"
        f"  dMRR@10 {row['measure_difference']:+.4f}  neighbours {row['neighbours']:.1e}"
    )


if __name__ == "__main__":
    main()
