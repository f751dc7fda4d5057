"""Reduced forms of a cross-encoder's padding-free forward, and those of other packages."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from recross.inference.batches import PackedBatch
from recross.inference.encoders.affine import (
    APPLY,
    Activation,
    Affine,
    MakeAffine,
    freeze_affine,
    fuse_layers,
)
from recross.inference.encoders.backends import onnx_runtime
from recross.inference.encoders.backends.int8_affine import quantise_affine, quantise_weight
from recross.inference.encoders.families import find_classifier
from recross.inference.encoders.padded import pad_inputs
from recross.inference.session import Session
from recross.machine.hardware import Hardware

Form = Callable[[PackedBatch], Tensor]
BUDGET = 2048


def packed_form(model: Any, make: MakeAffine, dtype: torch.dtype = torch.float32) -> Form:
    return find_classifier(model).forward(model, make, dtype, first_only=True).logits


def only(chosen: Collection[nn.Module], reduced: MakeAffine) -> MakeAffine:
    """Reduce these layers, leave the others in fp32."""
    exact, ids = freeze_affine(torch.float32, BUDGET), set(map(id, chosen))
    return lambda layers: reduced(layers) if id(layers[0]) in ids else exact(layers)


def scale_per_batch(layers: Sequence[nn.Linear]) -> Affine:
    """The dynamic quantisation of torch: one scale for all tokens of a batch."""
    weight, bias = (part.detach() for part in fuse_layers(layers))
    codes, scales = quantise_weight(weight)
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
        codes, self.scales = quantise_weight(weight)
        self.blocked = torch.ops.onednn.qlinear_prepack(codes, [BUDGET, codes.shape[1]])
        self.zeros = torch.zeros(len(codes), dtype=torch.int32)
        self.sums = codes.sum(dim=1).float() * self.scales

    def __call__(self, codes: Tensor, zero: int) -> Tensor:
        out: Tensor = torch.ops.onednn.qlinear_pointwise(
            codes, 1.0, zero, self.blocked, self.scales, self.zeros, None,
            1.0, 0, torch.float32, "none", [], "",
        )  # fmt: skip
        return out


def two_parts(layers: Sequence[nn.Linear]) -> Affine:
    """Tokens in 15 bits as two bytes, two products: what is left is the error of the weights."""
    weight, bias = (part.detach() for part in fuse_layers(layers))
    product = Product(weight)

    def apply(states: Tensor, activation: Activation = "none") -> Tensor:
        scales = states.abs().amax(dim=1, keepdim=True).clamp_min_(1e-12) / 127
        whole = states / scales
        high = whole.round()
        low = (whole - high).mul_(254).add_(128).round_().to(torch.uint8)
        out = product(high.add_(128).to(torch.uint8), 128)
        out.add_(product(low, 128), alpha=1 / 254)
        return APPLY[activation](out.mul_(scales).add_(bias))

    return apply


def exact_activations(layers: Sequence[nn.Linear]) -> Affine:
    """Weights rounded to 8 bits, products in fp32: no gain in speed, the share of the weights."""
    weight, bias = (part.detach() for part in fuse_layers(layers))
    codes, scales = quantise_weight(weight)
    rounded = codes.float() * scales[:, None]
    return lambda states, activation="none": APPLY[activation](
        nn.functional.linear(states, rounded, bias)
    )


def smooth(
    model: Any, sample: Iterable[PackedBatch], inner: MakeAffine, strength: float = 0.5
) -> MakeAffine:
    """SmoothQuant (Xiao et al. 2023): large input channels hand part of their range to weights."""
    largest: dict[int, Tensor] = {}
    exact = freeze_affine(torch.float32, BUDGET)

    def observing(layers: Sequence[nn.Linear]) -> Affine:
        inside, key = exact(layers), id(layers[0])

        def apply(states: Tensor, activation: Activation = "none") -> Tensor:
            seen = states.abs().amax(dim=0)
            largest[key] = torch.maximum(largest.get(key, seen), seen)
            return inside(states, activation)

        return apply

    observed = packed_form(model, observing)
    for batch in sample:
        observed(batch)

    def make(layers: Sequence[nn.Linear]) -> Affine:
        weight, bias = (part.detach() for part in fuse_layers(layers))
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

    exact = onnx_runtime.open_exported(model, Session(Hardware(backend="onnx", threads=1), store))
    (source,) = store.glob("onnx/*/model.onnx")
    quantize_dynamic(source, store / "int8.onnx", per_channel=True, weight_type=QuantType.QInt8)
    options = SessionOptions()
    options.intra_op_num_threads = 1
    reduced = InferenceSession(str(store / "int8.onnx"), options)
    return {
        "ONNX Runtime fp32": lambda b: onnx_runtime.compute_logits(exact, pad_inputs(model, b)),
        "ONNX Runtime int8, scale per batch": lambda b: onnx_runtime.compute_logits(
            reduced, pad_inputs(model, b)
        ),
    }


def openvino_forms(model: Any, sample: Iterable[PackedBatch], store: Path) -> dict[str, Form]:
    import nncf
    import openvino

    (source,) = store.glob("onnx/*/model.onnx")
    exact = openvino.convert_model(source)
    inputs = [{name: t.numpy() for name, t in pad_inputs(model, batch).items()} for batch in sample]
    kind = nncf.ModelType.TRANSFORMER
    reduced = nncf.quantize(exact.clone(), nncf.Dataset(inputs), model_type=kind)
    settings = {"INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": "f32"}

    def form(network: Any) -> Form:
        compiled = openvino.Core().compile_model(network, "CPU", settings)

        def logits(batch: PackedBatch) -> Tensor:
            given = {name: t.numpy() for name, t in pad_inputs(model, batch).items()}
            return torch.from_numpy(compiled(given)["logits"].copy())

        return logits

    return {"OpenVINO fp32": form(exact), "OpenVINO int8, calibrated (nncf)": form(reduced)}


def forms(model: Any, sample: Sequence[PackedBatch], store: Path) -> dict[str, Form]:
    """All that is tried; the first is what the others are measured against.

    ``sample``: batches of other queries than those judged, for forms that are calibrated.
    """
    layers = find_classifier(model).layers(model)
    tokens, exact = quantise_affine(BUDGET), freeze_affine(torch.float32, BUDGET)
    up = [layer.intermediate.dense for layer in layers]
    wide = [*up, *(layer.output.dense for layer in layers)]
    third = [part for layer in layers[-(len(layers) // 3) :] for part in layer.modules()]
    half = [part for layer in layers[len(layers) // 2 :] for part in layer.modules()]
    made = {
        "fp32": exact,
        "int8 weights, fp32 activations": exact_activations,
        "int8, scale per batch": scale_per_batch,
        "int8, scale and zero per token (cpu_int8)": tokens,
        "the same, SmoothQuant": smooth(model, sample, tokens),
        "the same, feed-forward only": only(wide, tokens),
        "the same, widening layers only": only(up, tokens),
        "the same, upper half only": only(half, tokens),
        "the same, upper third only": only(third, tokens),
        "int8, two bytes per activation": two_parts,
    }
    found = {name: packed_form(model, make) for name, make in made.items()}
    if Hardware(precision="bf16").effective_precision == "bf16":
        found["bf16"] = packed_form(model, freeze_affine(torch.bfloat16, BUDGET), torch.bfloat16)
    found |= onnx_forms(model, store)
    if find_spec("openvino") and find_spec("nncf"):
        found |= openvino_forms(model, sample, store)
    return found
