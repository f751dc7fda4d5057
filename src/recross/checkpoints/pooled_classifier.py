"""Cross-encoders whose head is a chain of modules: a pooling, linear layers, norms.

sentence-transformers keeps such a re-ranker (the ettin family is one) as a bare encoder, and the
weights of every other module in a folder of its own. A head that is made here may read the cosine
of the query's and the document's tokens, which sentence-transformers does not know: on a
bi-encoder it ranks by what that already knows of two texts, and learns the rest.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, NamedTuple, cast, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recross.checkpoints.chain_modules import (
    KINDS_OF_MODULES,
    DenseModule,
    load_module,
    save_module,
)
from recross.checkpoints.loaded import LoadedModule, Model, ModelConfig
from recross.checkpoints.module_folder import (
    ModuleEntry,
    ModuleFolder,
    read_pooling,
    write_modules,
)
from recross.errors import InputError

TokenPooling = Literal["cls", "mean", "lasttoken", "span_cosine"]
"""Whose output a head reads: the first token's, the mean of all, the last token's; or the first
token's and behind it the cosine of the means over the two segments, query and document."""
FIRST_SCALE = 20.0
"""What a head that is made here multiplies the cosine by at first, as bi-encoders are trained."""
_IDENTITY = "torch.nn.modules.linear.Identity"


class Classified(NamedTuple):
    """What is read of a classifier's output."""

    logits: Tensor


class PooledClassifier(nn.Module):
    """An encoder of transformers, a pooling of its tokens, and a head of linear layers and norms.

    It can be called with a padded batch, as any classifier of transformers can.
    """

    def __init__(
        self, encoder: Model, pooling: TokenPooling, head: nn.Sequential, chain: ModuleFolder
    ) -> None:
        super().__init__()
        self.encoder = cast(nn.Module, encoder)
        if "pooler" in dict(self.encoder.named_children()):  # BERT's own, which no pooling reads
            self.encoder.register_module("pooler", None)
        self.pooling: TokenPooling = pooling
        self.head = head
        self.chain = chain
        self.config: ModelConfig = encoder.config
        self.config.num_labels = 1

    @property
    def base_model(self) -> nn.Module:
        """The encoder."""
        return self.encoder

    @property
    def device(self) -> torch.device:
        """Where its weights are."""
        return next(self.parameters()).device

    @property
    def supports_gradient_checkpointing(self) -> bool:
        """Whether the encoder's own forward can compute its activations twice."""
        return bool(self.encoder.supports_gradient_checkpointing)

    def gradient_checkpointing_enable(self) -> None:
        """Let the encoder's own forward compute its activations twice."""
        cast(LoadedModule, self.encoder).gradient_checkpointing_enable()

    def get_input_embeddings(self) -> nn.Module:
        """The vectors of the vocabulary."""
        embeddings: nn.Module = cast(LoadedModule, self.encoder).get_input_embeddings()
        return embeddings

    def get_output_embeddings(self) -> None:
        """No token is told: it has no output layer over the vocabulary."""

    def forward(self, attention_mask: Tensor, **inputs: Tensor) -> Classified:
        """Logits of padded sequences, ``(B, 1)``."""
        states = self.encoder(attention_mask=attention_mask, **inputs).last_hidden_state
        segments = inputs.get("token_type_ids")
        return Classified(self.head(_pool_padded(states, attention_mask, segments, self.pooling)))

    def save_pretrained(self, folder: Path) -> None:
        """Write the chain as it was read: every module in its own place."""
        (encoder, *others), head = self.chain.parts, iter(self.head)
        (folder / encoder.place).mkdir(parents=True, exist_ok=True)
        cast(LoadedModule, self.encoder).save_pretrained(folder / encoder.place)
        for entry in others:
            module = next(head) if entry.kind in KINDS_OF_MODULES else nn.Identity()
            save_module(module, entry, folder)
        write_modules(self.chain, folder)


def holds_head(chain: ModuleFolder | None) -> bool:
    """Whether a chain is a cross-encoder that ends in a head of its own modules."""
    if chain is None or "Pooling" not in chain.kinds:
        return False
    last = chain.parts[-1]
    names_scores = last.settings.get("module_output_name") == "scores"
    return names_scores or chain.settings.get("model_type") == "CrossEncoder"


def build_classifier(encoder: Model, chain: ModuleFolder) -> PooledClassifier:
    """Put the head of a chain on its encoder.

    Raises:
        InputError: the chain is not an encoder, one pooling and modules down to one score, or the
            weights of a module do not fit it.
    """
    _, pooling, *rest = chain.parts
    modes = read_pooling(pooling.settings)
    if pooling.kind != "Pooling" or len(modes) != 1 or modes[0] not in get_args(TokenPooling):
        raise InputError(
            f"the second module of checkpoint {chain.checkpoint!r} must be a Pooling of"
            f" {' or '.join(get_args(TokenPooling))}, got {pooling.kind} {' '.join(modes)}"
        )
    modules = [load_module(chain, entry) for entry in rest if entry.kind != "Dropout"]
    _check_widths(chain, encoder.config.hidden_size + (modes[0] == "span_cosine"))
    return PooledClassifier(encoder, cast(TokenPooling, modes[0]), nn.Sequential(*modules), chain)


def make_span_classifier(encoder: Model) -> PooledClassifier:
    """Put a head on an encoder that scores by the cosine of query and document, and learns more.

    The weights of the first token's state are zero at first. Documents begin as bi-encoders read
    them: in the first segment, whose vector that of the second is set to.
    """
    width = int(encoder.config.hidden_size) + 1
    dense = {"in_features": width, "out_features": 1, "activation_function": _IDENTITY}
    head = DenseModule(dense)
    with torch.no_grad():
        head.linear.weight.zero_()[0, -1] = FIRST_SCALE
        cast(Tensor, head.linear.bias).zero_()
        for name, module in cast(nn.Module, encoder).named_modules():
            if name.endswith("token_type_embeddings"):
                cast(nn.Embedding, module).weight[1:] = cast(nn.Embedding, module).weight[0]
    pooling = {"embedding_dimension": width - 1, "pooling_mode": "span_cosine"}
    chain = ModuleFolder(
        "",
        (
            ModuleEntry("Transformer", "", {}),
            ModuleEntry("Pooling", "1_Pooling", pooling),
            ModuleEntry("Dense", "2_Dense", dense),
        ),
        {},
    )
    return PooledClassifier(encoder, "span_cosine", nn.Sequential(head), chain)


def find_chain(model: LoadedModule) -> ModuleFolder | None:
    """Find the chain that a classifier's head was read from; ``None`` for a head of its family."""
    return model.chain if isinstance(model, PooledClassifier) else None


def find_pooling(model: LoadedModule) -> TokenPooling | None:
    """Find whose output a classifier's head of modules reads; ``None`` for a head of its family."""
    return model.pooling if isinstance(model, PooledClassifier) else None


def describe_head(chain: ModuleFolder) -> str:
    """Say a chain's head in a line, such as ``cls, Dense GELU, LayerNorm, Dense``."""
    said = [read_pooling(chain.parts[1].settings)[0]]
    for entry in chain.parts[2:]:
        activation = str(entry.settings.get("activation_function", "")).rpartition(".")[2]
        said.append(f"{entry.kind} {activation}".removesuffix(" Identity").strip())
    return ", ".join(said)


def _check_widths(chain: ModuleFolder, width: int) -> None:
    for entry in chain.parts[2:]:
        takes = entry.settings.get("in_features", entry.settings.get("dimension", width))
        if takes != width:
            raise InputError(
                f"the {entry.kind} in {entry.place!r} of checkpoint {chain.checkpoint!r} must take"
                f" the {width} features that come before it, got {takes}"
            )
        width = int(entry.settings.get("out_features", width))
    if width != 1:
        raise InputError(
            f"the last module of checkpoint {chain.checkpoint!r} must give one score, got {width}"
        )


def join_cosine(first: Tensor, query: Tensor, document: Tensor) -> Tensor:
    """First tokens' states ``(B, D)`` and the cosines of two means ``(B, D)``: ``(B, D + 1)``."""
    cosines = F.cosine_similarity(query.float(), document.float(), dim=1)
    return torch.cat([first.float(), cosines[:, None]], dim=1)


def _pool_padded(
    states: Tensor, mask: Tensor, segments: Tensor | None, pooling: TokenPooling
) -> Tensor:
    """One vector ``(B, D)`` of each padded sequence's tokens ``(B, L, D)``."""
    if pooling == "cls":
        return states[:, 0]
    if pooling == "lasttoken":
        return states[torch.arange(len(states), device=states.device), mask.sum(dim=1) - 1]
    if pooling == "span_cosine":
        assert segments is not None  # of a model that tells segments apart
        spans = [_average(states, mask * (segments == number)) for number in (0, 1)]
        return join_cosine(states[:, 0], spans[0], spans[1])
    return _average(states, mask)


def _average(states: Tensor, mask: Tensor) -> Tensor:
    real = mask[:, :, None].to(states.dtype)
    return (states * real).sum(dim=1) / real.sum(dim=1)
