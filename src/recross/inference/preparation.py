"""A network made ready for fine-tuning, and made whole again after it; the only home of peft."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, cast

from torch import nn

from recross.checkpoints.loaded import Model
from recross.errors import InputError
from recross.inference.encoders.affine import is_added_to
from recross.inference.encoders.encoder import Encoder
from recross.machine.packages import is_installed


class Preparation(NamedTuple):
    """What of a network learns, and how.

    ``frozen_share`` of the layers, from the first and rounded down, stay as they are, and so do the
    word embeddings; ``None`` freezes nothing. ``gradient_checkpointing`` computes activations twice
    to hold few. With a ``lora_rank`` linear layers learn through low-rank additions (LoRA, Hu et
    al. 2022), and all else but the head stays as it is.
    """

    frozen_share: float | None = None
    dropout: float = 0.0
    gradient_checkpointing: bool = False
    lora_rank: int | None = None


def prepare(model: Model, encoder: Encoder, heads: Sequence[str], settings: Preparation) -> None:
    """Set every dropout, freeze and add what ``settings`` say.

    Raises:
        InputError: low-rank additions are wanted and peft is not installed, or the layers to freeze
            or to add to are not found.
    """
    layers = encoder.layers(model)
    _set_dropout(model, encoder.dropouts(model.config), settings.dropout)
    if settings.lora_rank is not None:
        _add_low_rank(model, layers, heads, settings.lora_rank)
    if settings.frozen_share is not None:
        model.get_input_embeddings().weight.requires_grad_(False)
        for layer in layers[: int(settings.frozen_share * len(layers))]:
            layer.requires_grad_(False)


def merge(model: Model) -> None:
    """Add low-rank additions to the weights they belong to, and remove them."""
    for name, module in list(model.named_modules()):
        if is_added_to(module):
            module.merge()
            parent, _, child = name.rpartition(".")
            setattr(model.get_submodule(parent), child, module.get_base_layer())


def _set_dropout(model: Model, names: Sequence[str], dropout: float) -> None:
    """In the config, in modules of dropout, and in attention, which holds a number of its own."""
    for name in names:
        setattr(model.config, name, dropout)
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = dropout
        for name in (*names, "dropout"):
            if isinstance(module.__dict__.get(name), float):
                setattr(module, name, dropout)


def _add_low_rank(
    model: Model, layers: Sequence[nn.Module], heads: Sequence[str], rank: int
) -> None:
    if not is_installed("peft"):
        raise InputError(
            f"training.lora_rank needs peft: pip install 'recross[lora]', got {rank} without it"
        )
    from peft import LoraConfig, inject_adapter_in_model  # an extra's package

    within = {id(module) for layer in layers for module in layer.modules()}
    linear = [
        name
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and id(module) in within
    ]
    settings = LoraConfig(r=rank, lora_alpha=2 * rank, target_modules=linear)
    inject_adapter_in_model(settings, cast(nn.Module, model))
    for name, parameter in model.named_parameters():
        if any(head in name for head in heads):
            parameter.requires_grad_(True)
