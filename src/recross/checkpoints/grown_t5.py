"""A small T5 grown from a BERT, so that a T5 can be trained where none can be downloaded."""

from __future__ import annotations

from typing import cast

import torch
from transformers import T5Config, T5ForConditionalGeneration, T5ForTokenClassification

from recross.checkpoints.loaded import Model
from recross.checkpoints.pretrained import Fresh, Pretrained, load


def grow_t5(checkpoint: str, layers: int, seed: int, *, encoder_only: bool = False) -> Pretrained:
    """Grow a T5 from a BERT: its vocabulary, and its weights wherever a T5 has their like.

    ``layers`` in the encoder, one fresh one in the decoder. T5 has no biases, no means in its norms
    and no absolute positions, so the encoder begins near BERT's and not at it: to be trained. With
    ``encoder_only`` a linear head on the encoder's tokens takes the decoder's place.
    """
    source = load("encoder", checkpoint, families={"bert"}, fresh=Fresh(labels=None), layers=layers)
    config = _make_config(source, layers)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        kind = T5ForTokenClassification if encoder_only else T5ForConditionalGeneration
        model = cast(Model, kind(config))
    with torch.no_grad():
        _graft(source.model, model)
    model.train(False)
    return Pretrained(model, source.tokenizer, head_is_fresh=True, revision=source.revision)


def _make_config(source: Pretrained, layers: int) -> T5Config:
    """The sizes of the BERT, and its special tokens."""
    bert, tokenizer = source.config, source.tokenizer
    config = T5Config(
        vocab_size=bert.vocab_size,
        d_model=bert.hidden_size,
        d_kv=bert.hidden_size // bert.num_attention_heads,
        d_ff=bert.intermediate_size,
        num_layers=layers,
        num_decoder_layers=1,
        num_heads=bert.num_attention_heads,
        feed_forward_proj="gelu",
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.sep_token_id,
        dropout_rate=0.0,
    )
    config.num_labels = 1
    config.decoder_start_token_id = tokenizer.pad_token_id
    return config


def _graft(bert: Model, t5: Model) -> None:
    """Copy a BERT's weights into a T5's encoder; norms take the gains of those before them."""
    embeddings = bert.embeddings
    everywhere = embeddings.token_type_embeddings.weight[0]
    everywhere = everywhere + embeddings.position_embeddings.weight.mean(dim=0)
    words = embeddings.LayerNorm(embeddings.word_embeddings.weight + everywhere)
    t5.get_input_embeddings().weight.copy_(words)
    size = words.pow(2).mean().sqrt()
    gain = size.expand(words.shape[1])  # so that the first norm changes little
    for block, layer in zip(t5.get_encoder().block, bert.encoder.layer, strict=True):
        attention, feed_forward = block.layer[0].SelfAttention, block.layer[1].DenseReluDense
        projections = layer.attention.self
        block.layer[0].layer_norm.weight.copy_(gain)
        # T5 does not scale attention logits
        attention.q.weight.copy_(projections.query.weight * projections.attention_head_size**-0.5)
        attention.k.weight.copy_(projections.key.weight)
        attention.v.weight.copy_(projections.value.weight)
        attention.o.weight.copy_(layer.attention.output.dense.weight)
        block.layer[1].layer_norm.weight.copy_(layer.attention.output.LayerNorm.weight)
        feed_forward.wi.weight.copy_(layer.intermediate.dense.weight)
        feed_forward.wo.weight.copy_(layer.output.dense.weight)
        gain = layer.output.LayerNorm.weight
    t5.get_encoder().final_layer_norm.weight.copy_(gain)
