"""Modules that follow an encoder in a chain: linear layers and norms.

They compute what sentence-transformers' compute, and their weights have the same names, so that
what is saved here is read there.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import cast

from safetensors.torch import save_file
from torch import Tensor, nn

from recross.checkpoints.module_folder import ModuleEntry, ModuleFolder
from recross.errors import InputError
from recross.records import JsonObject

TORCH_ACTIVATIONS: Mapping[str, Callable[[], nn.Module]] = {
    "Identity": nn.Identity,
    "Tanh": nn.Tanh,
    "GELU": nn.GELU,
    "ReLU": nn.ReLU,
    "SiLU": nn.SiLU,
    "Sigmoid": nn.Sigmoid,
}
"""Activations by their class in ``torch.nn``."""


class DenseModule(nn.Module):
    """A linear layer and an activation, to which what went in may be added again."""

    def __init__(self, settings: JsonObject) -> None:
        super().__init__()
        width, out = int(settings["in_features"]), int(settings["out_features"])
        self.linear = nn.Linear(width, out, bias=bool(settings.get("bias", True)))
        self.activation = find_activation(settings.get("activation_function", "torch.nn.Tanh"))
        self.adds_input = bool(settings.get("use_residual", False))
        if self.adds_input and width != out:
            self.residual = nn.Linear(width, out, bias=False)

    def forward(self, states: Tensor) -> Tensor:
        """Apply it to ``(..., in_features)``."""
        made: Tensor = self.activation(self.linear(states))
        if not self.adds_input:
            return made
        return made + (self.residual(states) if "residual" in self._modules else states)


class LayerNormModule(nn.Module):
    """A layer norm."""

    def __init__(self, settings: JsonObject) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(int(settings["dimension"]))

    def forward(self, states: Tensor) -> Tensor:
        """Apply it to ``(..., dimension)``."""
        normed: Tensor = self.norm(states)
        return normed


KINDS_OF_MODULES: Mapping[str, Callable[[JsonObject], nn.Module]] = {
    "Dense": DenseModule,
    "LayerNorm": LayerNormModule,
}
"""Modules with weights by what a chain calls them."""


def find_activation(name: str | None) -> nn.Module:
    """The activation that a chain names, ``torch.nn.modules.activation.GELU`` say.

    Raises:
        InputError: it is none that is known here; code of a checkpoint is not imported.
    """
    package, _, kind = (name or "torch.nn.Identity").rpartition(".")
    if not package.startswith("torch.nn") or kind not in TORCH_ACTIVATIONS:
        raise InputError(
            f"activation_function must be one of torch.nn's {', '.join(TORCH_ACTIVATIONS)},"
            f" got {name!r}"
        )
    return TORCH_ACTIVATIONS[kind]()


def load_module(chain: ModuleFolder, entry: ModuleEntry) -> nn.Module:
    """Make a module of a chain, with the weights of its folder.

    Raises:
        InputError: it is of no kind that is known here, a setting or a weight is missing, or there
            is a weight that it has not.
    """
    if entry.kind not in KINDS_OF_MODULES:
        raise InputError(
            f"modules after the encoder must be {' or '.join(KINDS_OF_MODULES)}, got"
            f" {entry.kind} in checkpoint {chain.checkpoint!r}"
        )
    try:
        module = KINDS_OF_MODULES[entry.kind](entry.settings)
    except KeyError as missing:
        raise InputError(
            f"{entry.place}/config.json of checkpoint {chain.checkpoint!r} must name {missing}"
        ) from None
    _fill(module, chain, entry)
    return module


def save_module(module: nn.Module, entry: ModuleEntry, folder: Path) -> None:
    """Write a module's settings and weights into its place of a folder."""
    place = folder / entry.place
    place.mkdir(parents=True, exist_ok=True)
    (place / "config.json").write_text(json.dumps(entry.settings, indent=2), encoding="utf-8")
    if state := {name: weight.contiguous() for name, weight in module.state_dict().items()}:
        save_file(state, place / "model.safetensors")


def _fill(module: nn.Module, chain: ModuleFolder, entry: ModuleEntry) -> None:
    weights = chain.weights(entry)
    shapes = {name: tuple(weight.shape) for name, weight in module.state_dict().items()}
    found = {name: tuple(weight.shape) for name, weight in weights.items()}
    if found != shapes:
        raise InputError(
            f"weights of the {entry.kind} in {entry.place!r} of checkpoint {chain.checkpoint!r}"
            f" must be {shapes}, got {found}"
        )
    module.load_state_dict(cast(Mapping[str, Tensor], weights))
