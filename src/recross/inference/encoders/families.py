"""Which family computes an encoder: the one place that knows them all."""

from __future__ import annotations

from recross.checkpoints.loaded import Model, ModelConfig
from recross.checkpoints.pooled_classifier import PooledClassifier
from recross.inference.encoders.bert import BertFamily
from recross.inference.encoders.decoder import DecoderFamily
from recross.inference.encoders.distilbert import DistilBertFamily
from recross.inference.encoders.encoder import Encoder
from recross.inference.encoders.headed import HeadedFamily
from recross.inference.encoders.modernbert import ModernBertFamily
from recross.inference.encoders.mpnet import MPNetFamily
from recross.inference.encoders.padded import PaddedFamily, SinglePaddedFamily
from recross.inference.encoders.t5 import T5Family

FAMILIES: dict[str, Encoder] = {
    "bert": BertFamily("bert"),
    "electra": BertFamily("electra"),
    "roberta": BertFamily("roberta"),
    "xlm-roberta": BertFamily("roberta"),
    "distilbert": DistilBertFamily(),
    "mpnet": MPNetFamily(),
    "modernbert": ModernBertFamily(),
    "llama": DecoderFamily(),
    "mistral": DecoderFamily(),
    "qwen2": DecoderFamily(),
    "qwen3": DecoderFamily(),
    "gemma": DecoderFamily(),
    "t5": T5Family(),
    "mt5": T5Family(),
}
"""model_type -> the family whose forward needs no padding."""

PADDED = PaddedFamily()
OTHERS: dict[str, Encoder] = {"deberta": SinglePaddedFamily()}
"""model_type -> a family that runs padded, but not as all others do."""


def find_encoder(config: ModelConfig) -> Encoder:
    """The family that computes the encoder of a config; without one, the model's own forward."""
    family = FAMILIES.get(config.model_type)
    if family is not None and family.supports(config):
        return family
    return OTHERS.get(config.model_type, PADDED)


def find_classifier(model: Model) -> Encoder:
    """The family that computes a classifier's logits, its head included."""
    family = find_encoder(model.config)
    if isinstance(model, PooledClassifier):
        return HeadedFamily(family)
    return family if type(model).__name__.endswith(family.classifiers) else PADDED
