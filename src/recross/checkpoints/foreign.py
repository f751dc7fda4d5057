"""Other people's layouts of checkpoints: ColBERT's own, and lightning-ir's monoELECTRA."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor, nn
from transformers import (
    BertConfig,
    BertModel,
    BertPreTrainedModel,
    ElectraConfig,
    ElectraModel,
    ElectraPreTrainedModel,
)
from transformers.modeling_outputs import SequenceClassifierOutput

from recross.checkpoints.heads import ExactLinear
from recross.checkpoints.loaded import ModelConfig
from recross.errors import InputError
from recross.records import JsonObject

ENCODER_MODULES = ("embeddings", "embeddings_project", "encoder")


class LateInteractionModel(BertPreTrainedModel):  # type: ignore[no-untyped-call]
    """BERT with a linear layer on every token, in ColBERT's own names (``bert``, ``linear``)."""

    def __init__(self, config: BertConfig) -> None:
        super().__init__(config)
        self.bert = BertModel(config, add_pooling_layer=False)
        self.linear = nn.Linear(config.hidden_size, config.dim, bias=False)
        self.post_init()  # type: ignore[no-untyped-call]

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> object:
        """States of the tokens, before the linear layer, as transformers returns them."""
        return self.bert(input_ids=input_ids, attention_mask=attention_mask)


class FirstTokenLinear(ExactLinear):
    """A linear layer on the first token's state: ``(B, L, D)`` to ``(B, labels)``."""

    def forward(self, states: Tensor) -> Tensor:
        """Compute the logits of the first token of each sequence."""
        return super().forward(states[:, 0])


class LinearElectraForSequenceClassification(ElectraPreTrainedModel):
    """ELECTRA with a single linear layer for a head, as lightning-ir's monoELECTRA has it."""

    names: ClassVar[Mapping[str, str]] = {
        **{f"^{module}\\.": f"electra.{module}." for module in ENCODER_MODULES},
        "^linear\\.": "classifier.",
    }
    """What lightning-ir calls the weights (as regular expressions) -> their names here."""

    def __init__(self, config: ElectraConfig) -> None:
        super().__init__(config)
        self.electra = ElectraModel(config)
        self.classifier = FirstTokenLinear(config.hidden_size, config.num_labels or 1)
        self.post_init()  # type: ignore[no-untyped-call]

    def forward(self, **inputs: Tensor) -> SequenceClassifierOutput:
        """Logits of the first token."""
        states = self.electra(**inputs).last_hidden_state
        return SequenceClassifierOutput(logits=self.classifier(states))


def translate_config(values: JsonObject) -> ElectraConfig | None:
    """Translate lightning-ir's config of an ELECTRA; ``None`` for any other config.

    Raises:
        InputError: it is that of a Set-Encoder, whose documents see each other.
    """
    if "set-encoder" in str(values.get("model_type")) or "add_extra_token" in values:
        raise InputError(
            "checkpoint must read each document alone, got a Set-Encoder of lightning-ir, whose"
            " attention goes over all candidates of a query"
        )
    if values.get("model_type") != "mono-electra" and (
        values.get("backbone_model_type") != "electra"
    ):
        return None
    settings = {name: value for name, value in values.items() if name in ElectraConfig().to_dict()}
    settings |= {"model_type": "electra", "linear_head": True, "num_labels": 1}
    return ElectraConfig(**settings)


def has_linear_head(config: ModelConfig) -> bool:
    """Whether a classifier's head is lightning-ir's single linear layer."""
    return bool(getattr(config, "linear_head", False))
