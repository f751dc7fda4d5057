"""Weights of which each process of a training keeps a part (FSDP, Zhao et al. 2023).

Torch cuts every weight by its rows. A layer is whole while it computes; its gradients are averaged
and cut as soon as they are there. What is saved is whole, and says nothing of how it was shared.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn

from recross.inference.encoders.layer_passes import gather_within
from recross.inference.network import Network

if TYPE_CHECKING:
    from torch.distributed.tensor import DTensor


def share_weights(network: Network, device: torch.device) -> None:
    """Leave this process its part of the weights of a network that all processes have whole.

    Layers are gathered one by one, and what is outside of them for a whole pass; so is a network
    whose layers are not called equally often in all processes.
    """
    from torch.distributed import get_world_size
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    mesh = init_device_mesh(device.type, (get_world_size(),))
    for module in network.family.list_apart(network.model):
        fully_shard(module, mesh=mesh)  # gathered where it is called
    stacks = () if network.live.calls_vary else network.stacks
    for module in (*(layer for stack in stacks for layer in stack), network):
        fully_shard(module, mesh=mesh)
        gather_within(module)


class WholeCopy:
    """A network made like another before its weights were shared; it has weights only in use.

    What is shared gathers its weights again and again, as often in every process. This one scores
    as much in each of them as there is to score.
    """

    def __init__(self, network: Network) -> None:
        empty = {
            id(weight): nn.Parameter(weight.detach().new_empty(0), weight.requires_grad)
            for weight in network.parameters()
        }
        self._network = copy.deepcopy(network, empty).eval()

    @contextmanager
    def filled(self, network: Network) -> Iterator[Network]:
        """Inside the block the copy has the weights, gathered, of the network that shares them."""
        weights = list(zip(self._network.parameters(), network.parameters(), strict=True))
        for own, part in weights:
            own.data = cast("DTensor", part.detach()).full_tensor()
        try:
            yield self._network
        finally:
            for own, _ in weights:
                own.data = own.data.new_empty(0)


def gather(value: Tensor, *, keeps: bool) -> Tensor:
    """The whole of a tensor, on the processor, in processes that keep it; one not shared as it is.

    All processes take part. Those that do not keep it get an empty tensor.
    """
    if not _has_parts(value):
        return value
    whole = cast("DTensor", value).full_tensor()
    return whole.cpu() if keeps else whole.new_empty(0)


def cut_like(whole: Tensor, like: Tensor) -> Tensor:
    """The part of a whole tensor that this process keeps, if ``like`` is such a part."""
    if not _has_parts(like):
        return whole
    from torch.distributed.tensor import distribute_tensor

    of = cast("DTensor", like)
    on_device = whole.to(like.device)
    return distribute_tensor(on_device, of.device_mesh, of.placements, src_data_rank=None)


def gather_all(values: Mapping[str, Tensor], *, keeps: bool) -> dict[str, Tensor]:
    """The whole of each tensor, as ``gather`` gives it."""
    return {name: gather(value, keeps=keeps) for name, value in values.items()}


def load_weights(network: nn.Module, saved: Mapping[str, Tensor]) -> None:
    """Set the weights to whole ones that were saved, or this process's part of them."""
    own = network.state_dict()
    network.load_state_dict({name: cut_like(whole, own[name]) for name, whole in saved.items()})


def _has_parts(value: Tensor) -> bool:
    return hasattr(value, "full_tensor")
