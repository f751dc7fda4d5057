"""What a training changed of a network, small enough to ship: differences of low rank.

A fine-tuned network is the one that it started from plus a difference, whose matrices are mostly of
low rank (as LoRA assumes, Hu et al. 2022). The difference of each matrix is divided into singular
triplets, and those that explain most of all differences for their bytes are kept, whichever matrix
they are of. What the base lacks, such as a head, and what is no matrix is kept whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from recross.errors import InputError

LEFT, RIGHT, ADDED, WHOLE = ".left", ".right", ".added", ".whole"
"""What follows a weight's name: two factors of its difference, the difference, or the weight."""
BYTES = {torch.float16: 2, torch.float32: 4}

Weights = Mapping[str, Tensor]


class _Triplet(NamedTuple):
    """One singular triplet of one difference: how much of it a byte buys."""

    worth: float
    size: int
    name: str


@dataclass(frozen=True)
class Delta:
    """Tensors from which a network's weights follow, given those that it started from.

    ``kept`` is the share of the squared differences that the factors hold, between 0 and 1.
    """

    tensors: Weights
    kept: float = 1.0

    @classmethod
    def between(cls, base: Weights, trained: Weights, most_bytes: int) -> Delta:
        """The difference of two networks in at most so many bytes.

        Weights of the base that the trained network lacks, such as upper layers, are left out.

        Raises:
            InputError: a weight has another shape than in the base, or what cannot be reduced
                takes more than ``most_bytes``.
        """
        tensors = dict(_keep_whole(base, trained))
        left = most_bytes - sum(_count_bytes(tensor) for tensor in tensors.values())
        if left < 0:
            raise InputError(
                f"most_bytes must hold what no factors can stand for ({most_bytes - left:,}),"
                f" got {most_bytes:,}"
            )
        changed = {
            name: weight.float() - base[name].float()
            for name, weight in trained.items()
            if name in base and weight.ndim == 2 and not torch.equal(weight, base[name])
        }
        factors = {name: torch.linalg.svd(change, False) for name, change in changed.items()}
        ranks = _choose_ranks({name: svd.S for name, svd in factors.items()}, changed, left)
        held = 0.0
        for name, (u, s, v) in factors.items():
            rank = ranks[name]
            held += float(s[:rank].square().sum())
            root = s[:rank].sqrt()
            tensors[name + LEFT] = (u[:, :rank] * root).half().contiguous()
            tensors[name + RIGHT] = (root[:, None] * v[:rank]).half().contiguous()
        every = sum(float(svd.S.square().sum()) for svd in factors.values())
        return cls(tensors, held / every if every else 1.0)

    def add_to(self, base: Weights, names: Iterable[str]) -> dict[str, Tensor]:
        """The weights of the trained network, which has these ``names``, in single precision.

        Raises:
            InputError: a weight is neither the base's nor held whole.
        """
        made = {}
        for name in names:
            if (whole := self.tensors.get(name + WHOLE)) is not None:
                made[name] = whole.float()
                continue
            if name not in base:
                raise InputError(f"base must hold the weight {name!r}, got none")
            weight = base[name].float()
            if (added := self.tensors.get(name + ADDED)) is not None:
                weight = weight + added.float()
            if (left := self.tensors.get(name + LEFT)) is not None:
                weight = weight + left.float() @ self.tensors[name + RIGHT].float()
            made[name] = weight
        return made


def _keep_whole(base: Weights, trained: Weights) -> Iterator[tuple[str, Tensor]]:
    """What is not divided into factors: weights the base lacks, and changes of vectors."""
    for name, weight in trained.items():
        if name not in base:
            yield name + WHOLE, weight.float().contiguous()
        elif weight.shape != base[name].shape:
            raise InputError(
                f"weight {name!r} must be {tuple(base[name].shape)} as in the base,"
                f" got {tuple(weight.shape)}"
            )
        elif weight.ndim != 2 and not torch.equal(weight, base[name]):
            yield name + ADDED, (weight.float() - base[name].float()).contiguous()


def _choose_ranks(values: Weights, changes: Weights, most_bytes: int) -> dict[str, int]:
    """How many singular triplets of each matrix to keep: those that explain most per byte."""
    sizes = {name: BYTES[torch.float16] * sum(change.shape) for name, change in changes.items()}
    triplets = sorted(
        (
            _Triplet(float(value) ** 2 / sizes[name], sizes[name], name)
            for name, singular in values.items()
            for value in singular
        ),
        reverse=True,
    )
    ranks = dict.fromkeys(values, 0)
    for triplet in triplets:
        if triplet.size > most_bytes or not triplet.worth:
            break  # a smaller one further down would be of a matrix that comes first
        most_bytes -= triplet.size
        ranks[triplet.name] += 1
    return ranks


def _count_bytes(tensor: Tensor) -> int:
    return tensor.numel() * BYTES[tensor.dtype]
