"""Where an experiment runs: it may change the speed, never which scores are asked for."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from recross.errors import InputError
from recross.machine.backends import NEEDS, Backend, Precision, find_missing_packages
from recross.machine.nodes import find_meeting_lacks, read_node_rank
from recross.machine.processor import bf16_is_faster, read_cpu_flags
from recross.parts.bounds import Ge, Le, checked
from recross.parts.fields import read_field_values

if TYPE_CHECKING:
    import torch

DEVICE_FILES = Path("/dev")
"""Where Linux has a file for each device."""
_OF_GPUS = ("nvidia*", "nvhost*", "nvmap", "dxg", "kfd")
"""Files of the drivers through which torch sees a GPU: NVIDIA's, Tegra's, WSL's, AMD's."""
_NO_GPU = "accelerator must be one this machine has (cpu), got 'gpu'"

Shards = Literal["nothing", "optimiser", "weights"]
"""Of what each of the processes that train together keeps only a part."""


@dataclass(frozen=True)
@checked
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
    number per device, ``None`` leaves it to torch. ``nodes`` machines, each with as many devices
    and with the same command, share a training; the environment says where they meet
    (``MASTER_ADDR``, ``MASTER_PORT``) and which of them this is (``NODE_RANK``). So that large
    networks fit, each of the processes that train together keeps only a part of what ``shards``
    names: of the ``optimiser``'s state (ZeRO, stage 1, Rajbhandari et al. 2020), or of the
    ``weights``, their gradients and that state (ZeRO, stage 3, as FSDP, Zhao et al. 2023). What is
    learned stays equal. A training in one process refuses it.

    ``backend`` computes the scores of BERT-like cross-encoders: ``torch`` (the padding-free
    forward), ``torch_compile`` (compiled: on a GPU in half precision that forward, elsewhere a
    padded one), ``torch_int8`` (padding-free, products in 8 bits) or ``onnx`` (ONNX Runtime,
    exported once into the store). Training is always torch's.
    """

    accelerator: Literal["cpu", "gpu"] = "cpu"
    devices: Annotated[int, Ge(1), Le(1024)] = 1
    precision: Literal["fp32", "bf16", "fp16", "fastest"] = "fp32"
    tokens_per_batch: Annotated[int, Ge(1)] | Literal["auto"] = 2048
    tokens_per_training_pass: Annotated[int, Ge(1)] = 8192
    threads: Annotated[int, Ge(1), Le(1024)] | None = None
    backend: Backend = "torch"
    nodes: Annotated[int, Ge(1), Le(1024)] = field(default=1, compare=False)
    shards: Shards = field(default="nothing", compare=False)

    def __post_init__(self) -> None:
        if self.precision == "fp16" and self.accelerator != "gpu":
            raise InputError("precision fp16 needs accelerator=gpu, got 'cpu'")
        self._check_backend()

    def _check_backend(self) -> None:
        values = read_field_values(self)
        for name, only in NEEDS[self.backend].settings.items():
            if values[name] != only:
                raise InputError(
                    f"backend {self.backend} needs {name}={only}, got {values[name]!r}"
                )
        if missing := find_missing_packages(self.backend):
            raise InputError(
                f"backend must be installed, got {self.backend!r} without {', '.join(missing)};"
                f" pip install 'recross[{self.backend}]'"
            )

    @property
    def identity(self) -> Mapping[str, str]:
        """What of a target changes scores: precision and back-end."""
        return {"precision": self.effective_precision, "backend": self.backend}

    @property
    def summation(self) -> Mapping[str, str | int]:
        """What of a target changes the order of sums, and so the weights that training leaves.

        On 1 and 2 threads the weights of six steps at a rate of 1e-4 differ by up to 6e-5.
        """
        order: dict[str, str | int] = {"accelerator": self.accelerator, "devices": self.devices}
        if self.accelerator == "cpu" and (self.threads or self.nodes == 1):
            import torch

            order["threads"] = self.threads or torch.get_num_threads()
        if self.nodes > 1:
            order["nodes"] = self.nodes
        return order

    @property
    def processes(self) -> int:
        """How many processes train together, on all nodes."""
        return self.devices * self.nodes

    @property
    def is_first_node(self) -> bool:
        """Whether this machine writes what a training leaves; others only take part in it."""
        return read_node_rank(self.nodes) == 0

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
        import torch

        if self.accelerator == "cpu":
            return torch.device("cpu")
        if not torch.cuda.is_available():
            raise InputError(_NO_GPU)
        return torch.device("cuda")

    def find_lacks(self) -> Iterator[str]:
        """What of the target this machine has not."""
        yield from find_meeting_lacks(self.nodes)
        if self.accelerator != "gpu":
            return
        if not _may_have_gpu():  # known without torch, whose import takes seconds
            yield _NO_GPU
            return
        import torch

        if not torch.cuda.is_available():
            yield _NO_GPU
        elif self.devices > torch.cuda.device_count():
            found = torch.cuda.device_count()
            yield f"devices must be at most the number of GPUs here ({found}), got {self.devices}"

    @property
    def peak_gpu_memory_mb(self) -> float | None:
        """The most that tensors of this process took of one of its GPUs so far, in MB.

        ``None`` on a processor, whose memory is the process's.
        """
        if self.accelerator != "gpu":
            return None
        import torch

        return max(map(torch.cuda.max_memory_allocated, range(self.devices))) / 1024**2

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
        import torch

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

    def require_one_node(self, owner: str) -> None:
        """Refuse several nodes for work that only one can do.

        Raises:
            InputError: there is more than one.
        """
        if self.nodes > 1:
            raise InputError(f"hardware.nodes must be 1 for {owner}, got {self.nodes}")

    def prepare(self) -> None:
        """Set this process's number of threads and, for a GPU, its kernels of attention.

        cuDNN's attention is switched off: it plans anew for every shape, and batches of real
        sequences hardly ever repeat one.
        """
        import torch

        if self.threads is not None:
            torch.set_num_threads(self.threads)
        if self.accelerator == "gpu":
            torch.backends.cuda.enable_cudnn_sdp(False)

    def _multiplies_in_bf16(self) -> bool:
        if self.accelerator == "gpu":
            if not _may_have_gpu():
                return True  # what computes is elsewhere: GPUs since Ampere do
            import torch

            return bool(torch.cuda.is_bf16_supported())
        return bool({"avx512_bf16", "amx_bf16"} & read_cpu_flags())


def _may_have_gpu() -> bool:
    """Whether torch may see a GPU: not on Linux without a file of any driver of GPUs."""
    if sys.platform != "linux":
        return True
    return any(True for pattern in _OF_GPUS for _ in DEVICE_FILES.glob(pattern))
