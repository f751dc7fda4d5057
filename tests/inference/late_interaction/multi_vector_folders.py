"""Small checkpoints of late interaction as PyLate and MultiVectorEncoder lay them out."""

import json
from itertools import pairwise

import tokenizers
import torch
import transformers
from sentence_transformers import MultiVectorEncoder
from sentence_transformers.base.modules import Dense, Normalize, Transformer
from sentence_transformers.multi_vector_encoder.modules import MultiVectorMask
from torch import nn

from tests.conftest import save_tiny, toy_collection

TOKENS = {"module_input_name": "token_embeddings"}
PYLATE = {
    "query_prefix": "[unused0]",
    "document_prefix": "[unused1]",
    "query_length": 14,
    "document_length": 12,
    "attend_to_expansion_tokens": False,
    "skiplist_words": [",", "."],
    "do_query_expansion": True,
}


def save_modern_bert(folder, markers=()):
    """A random ModernBERT whose pieces join a blank with the word behind it."""
    pieces = tokenizers.ByteLevelBPETokenizer()
    texts = [*toy_collection().documents.values(), "search query: , . [Q] [D]"]
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    pieces.train_from_iterator(texts * 3, 400, 2, show_progress=False, special_tokens=special)
    pieces._tokenizer.post_processor = tokenizers.processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B [SEP]",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    named = ("pad_token", "unk_token", "cls_token", "sep_token", "mask_token")
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=pieces._tokenizer,
        model_max_length=64,
        **dict(zip(named, special, strict=True)),
    )
    tokenizer.add_tokens(list(markers))
    config = transformers.ModernBertConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=4,
        num_attention_heads=4,
        intermediate_size=48,
        max_position_embeddings=80,
        local_attention=8,
        pad_token_id=0,
        cls_token_id=2,
        bos_token_id=2,
        sep_token_id=3,
        eos_token_id=3,
    )
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = transformers.ModernBertModel(config)
        for parameter in model.parameters():
            if parameter.ndim > 1:
                nn.init.normal_(parameter, std=0.3)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def save_encoder(folder, family, markers=()):
    """A random encoder of a family, with its tokenizer."""
    if family == "modernbert":
        return save_modern_bert(folder, markers)
    if family == "distilbert":
        save_tiny(folder)
        vocabulary = len(transformers.AutoTokenizer.from_pretrained(folder))
        config = transformers.DistilBertConfig(
            **{"vocab_size": vocabulary, "dim": 32, "n_layers": 2, "n_heads": 4},
            **{"hidden_dim": 48, "max_position_embeddings": 80, "initializer_range": 0.4},
        )
        transformers.DistilBertModel(config).save_pretrained(folder)
        return folder
    return save_tiny(folder, family)


def make_dense(*widths, bias=False, activation=None, residual=False):
    torch.manual_seed(5)
    layers = []
    for before, after in pairwise(widths):
        layer = Dense(
            before,
            after,
            bias=bias,
            activation_function=activation or nn.Identity(),
            use_residual=residual,
            **TOKENS,
        )
        for weights in layer.parameters():
            nn.init.normal_(weights, std=0.5)
        layers.append(layer)
    return layers


def save_native(folder, family="bert", *, dense=None, prompts=None, ends=None, **lengths):
    """What MultiVectorEncoder saves."""
    plain = save_encoder(folder / "plain", family)
    encoder = Transformer(str(plain), **lengths)
    dense = make_dense(32, 16) if dense is None else dense
    ends = [MultiVectorMask([",", "."]), Normalize("token_embeddings")] if ends is None else ends
    model = MultiVectorEncoder(
        modules=[encoder, *dense, *ends], prompts=prompts or {}, device="cpu"
    )
    model.save_pretrained(str(folder / "saved"), create_model_card=False)
    return folder / "saved"


def save_pylate(folder, family="bert", *, dense=None, markers=(), **changes):
    """What PyLate saves: no more than encoder and linear layers, and settings by its names."""
    plain = save_encoder(folder / "plain", family, markers)
    dense = make_dense(32, 16) if dense is None else dense
    model = MultiVectorEncoder(modules=[Transformer(str(plain)), *dense], device="cpu")
    saved = folder / "saved"
    model.save_pretrained(str(saved), create_model_card=False)
    listed = json.loads((saved / "modules.json").read_text())
    for entry in listed[1:]:
        entry["type"] = "pylate.models.Dense.Dense"
    (saved / "modules.json").write_text(json.dumps(listed))
    (saved / "sentence_bert_config.json").write_text(
        '{"max_seq_length": 11, "do_lower_case": false}'
    )
    settings = {"model_type": "ColBERT", "similarity_fn_name": "MaxSim", **PYLATE, **changes}
    known = {name: value for name, value in settings.items() if value != "absent"}
    (saved / "config_sentence_transformers.json").write_text(json.dumps(known))
    return saved


def read_back(folder):
    """The same folder, as MultiVectorEncoder loads it."""
    return MultiVectorEncoder(str(folder), device="cpu")
