"""What this processor is and what it is worth, by asking and by short probes."""

from __future__ import annotations

import os
import platform
import time
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

OUT_OF_MEMORY = ("not enough memory", "can't allocate memory", "out of memory", "alloc_failed")
PROBED_TOKENS, PROBED_WIDTH = 2048, 768


def bf16_is_faster() -> bool:
    """Whether this processor multiplies matrices faster in bf16 than in fp32, by a probe."""
    return measure_bf16_time_share() < 0.8


@cache
def measure_bf16_time_share() -> float:
    """Time of a matrix product in bf16, in times of one in fp32."""
    import torch

    return time_product(torch.bfloat16) / time_product(torch.float32)


def time_product(dtype: torch.dtype) -> float:
    """Best of a few matrix products of a common size, with the threads as they are set."""
    import torch

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
    is_said = any(words in str(error).lower() for words in OUT_OF_MEMORY)
    return is_said or isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"


def read_cpu_flags() -> frozenset[str]:
    """Instruction sets the processor reports; empty where the system does not say."""
    cpuinfo = Path("/proc/cpuinfo")
    if not cpuinfo.is_file():
        return frozenset()
    for line in cpuinfo.read_text().splitlines():
        if line.startswith(("flags", "Features")):
            return frozenset(line.partition(":")[2].split())
    return frozenset()


def read_processor_name() -> str:
    """Read the name that the processor gives itself."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def count_usable_cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
