"""Where an experiment runs: it may change the speed, never which scores are asked for."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, get_args

import torch

from recross.errors import InputError

Precision = Literal["fp32", "bf16", "fp16"]
OUT_OF_MEMORY = ("not enough memory", "can't allocate memory", "out of memory", "alloc_failed")
Backend = Literal["torch", "torch_compile", "torch_int8", "onnx"]
BACKENDS: tuple[Backend, ...] = get_args(Backend)
PROBED_TOKENS, PROBED_WIDTH = 2048, 768
NEEDED = {"onnx": ("onnx", "onnxruntime", "onnxscript")}
"""back-end -> packages that the extra of its name installs."""


@dataclass(frozen=True)
class Hardware:
    """One hardware target.

    ``precision="bf16"`` is used where the processor multiplies in bfloat16 and falls back to fp32
    elsewhere; ``"fastest"`` takes bf16 only where a short probe finds its products faster, since
    some processors have the instructions and no gain; ``"fp16"`` needs a GPU.
    ``effective_precision`` says which was taken, and every result records it.
    ``tokens_per_batch`` bounds one forward pass in scoring, ``tokens_per_training_pass`` one in
    training; ``"auto"`` lets the first batches of a run find the fastest size, and since sizes
    round sums differently, the last digits of scores may then differ from run to run.
    ``devices`` train together in one process each, and share the batches of scoring: one copy of
    the network per GPU, one thread with its share of the cores on a processor. ``threads`` is the
    number per device, ``None`` leaves it to torch.

    ``backend`` computes the scores of BERT-like cross-encoders: ``torch`` (the padding-free
    forward), ``torch_compile`` (padded, compiled: for GPUs, which wait for launches),
    ``torch_int8`` (padding-free, products in 8 bits) or ``onnx`` (ONNX Runtime, exported once into
    the store). Training is always torch's.
    """

    accelerator: Literal["cpu", "gpu"] = "cpu"
    devices: int = 1
    precision: Literal["fp32", "bf16", "fp16", "fastest"] = "fp32"
    tokens_per_batch: int | Literal["auto"] = 2048
    tokens_per_training_pass: int = 8192
    threads: int | None = None
    backend: Backend = "torch"

    def __post_init__(self) -> None:
        for name in ("devices", "tokens_per_batch", "tokens_per_training_pass", "threads"):
            value = getattr(self, name)
            if isinstance(value, int) and value < 1:
                raise InputError(f"{name} must be at least 1, got {value}")
        if isinstance(self.tokens_per_batch, str) and self.tokens_per_batch != "auto":
            raise InputError(
                f"tokens_per_batch must be a number or auto, got {self.tokens_per_batch!r}"
            )
        if self.precision == "fp16" and self.accelerator != "gpu":
            raise InputError("precision fp16 needs accelerator=gpu, got 'cpu'")
        if self.backend in ("torch_int8", "onnx"):
            self._check_cpu_backend()

    def _check_cpu_backend(self) -> None:
        for name, only in (("accelerator", "cpu"), ("precision", "fp32")):
            if (value := getattr(self, name)) != only:
                raise InputError(f"backend {self.backend} needs {name}={only}, got {value!r}")
        if missing := missing_packages(self.backend):
            raise InputError(
                f"backend must be installed, got {self.backend!r} without {', '.join(missing)};"
                f" pip install 'recross[{self.backend}]'"
            )

    @property
    def identity(self) -> Mapping[str, str]:
        """What of a target changes scores: precision and back-end."""
        return {"precision": self.effective_precision, "backend": self.backend}

    @property
    def is_reference(self) -> bool:
        """Whether scores are computed in the form that every other form is compared with."""
        return self.backend == "torch" and self.effective_precision == "fp32"

    @property
    def reference(self) -> Hardware:
        """The same machine, computing in single precision with torch."""
        return replace(self, precision="fp32", backend="torch")

    @property
    def device(self) -> torch.device:
        """The device of this process.

        Raises:
            InputError: a GPU is asked for and torch sees none.
        """
        if self.accelerator == "cpu":
            return torch.device("cpu")
        if not torch.cuda.is_available():
            raise InputError("accelerator must be one this machine has (cpu), got 'gpu'")
        return torch.device("cuda")

    @property
    def batch_tokens(self) -> int:
        """Tokens of a typical batch, where a number is needed before any is found."""
        if self.tokens_per_batch != "auto":
            return self.tokens_per_batch
        return 2048 if self.accelerator == "cpu" else 65_536

    @property
    def effective_precision(self) -> Precision:
        """The precision in which products are computed here."""
        if self.precision == "fp16":
            return "fp16"
        if self.precision == "fp32" or not self._multiplies_in_bf16():
            return "fp32"
        wanted = self.precision == "bf16" or self.accelerator == "gpu" or bf16_is_faster()
        return "bf16" if wanted else "fp32"

    @property
    def dtype(self) -> torch.dtype:
        """The torch type of ``effective_precision``."""
        types = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
        return types[self.effective_precision]

    def require_torch(self, owner: str) -> None:
        """Refuse another back-end than torch's for a network that has none.

        Raises:
            InputError: the back-end is not ``torch``.
        """
        if self.backend != "torch":
            raise InputError(
                f"backend must be torch for a {owner}, got {self.backend!r}:"
                " only cross-encoders with a classification head have others"
            )

    def prepare(self) -> None:
        """Set this process's number of threads and, for a GPU, its kernels of attention.

        cuDNN's attention is switched off: it plans anew for every shape, and batches of real
        sequences hardly ever repeat one.
        """
        if self.threads is not None:
            torch.set_num_threads(self.threads)
        if self.accelerator == "gpu":
            torch.backends.cuda.enable_cudnn_sdp(False)

    def _multiplies_in_bf16(self) -> bool:
        if self.accelerator == "gpu":
            return bool(torch.cuda.is_bf16_supported())
        return bool({"avx512_bf16", "amx_bf16"} & cpu_flags())


def missing_packages(backend: str) -> list[str]:
    """What a back-end needs and this installation lacks."""
    return [name for name in NEEDED.get(backend, ()) if find_spec(name) is None]


def bf16_is_faster() -> bool:
    """Whether this processor multiplies matrices faster in bf16 than in fp32, by a probe."""
    return bf16_time_share() < 0.8


@cache
def bf16_time_share() -> float:
    """Time of a matrix product in bf16, in times of one in fp32."""
    return product_seconds(torch.bfloat16) / product_seconds(torch.float32)


def product_seconds(dtype: torch.dtype) -> float:
    """Best of a few matrix products of a common size, with the threads as they are set."""
    tokens = torch.ones(PROBED_TOKENS, PROBED_WIDTH, dtype=dtype)
    weight = torch.ones(PROBED_WIDTH, PROBED_WIDTH, dtype=dtype)
    best = float("inf")
    for _ in range(7):
        start = time.perf_counter()
        torch.nn.functional.linear(tokens, weight)
        best = min(best, time.perf_counter() - start)
    return best


def is_out_of_memory(error: Exception) -> bool:
    """Whether an error says that memory ran out; on a processor torch has no type for it."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or any(
        words in str(error).lower() for words in OUT_OF_MEMORY
    )


def cpu_flags() -> frozenset[str]:
    """Instruction sets the processor reports; empty where the system does not say."""
    cpuinfo = Path("/proc/cpuinfo")
    if not cpuinfo.is_file():
        return frozenset()
    for line in cpuinfo.read_text().splitlines():
        if line.startswith(("flags", "Features")):
            return frozenset(line.partition(":")[2].split())
    return frozenset()


def processor_name() -> str:
    """The processor's own name."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def usable_cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
