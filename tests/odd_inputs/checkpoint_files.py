"""Odd configs, tokenizers and code beside weights that are right."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import transformers

from tests.odd_inputs.odd_input import OddInput, refused
from tests.odd_inputs.tiny_checkpoints import (
    Damage,
    change,
    config,
    keep,
    odd,
    remove,
    rewrite,
)

VOCABULARIES = ("tokenizer.json", "vocab.txt", "vocab.json")
CONFIG, TOKENIZER = "config.json", "tokenizer.json"


def number(name: str, value: object) -> tuple[str, Damage, object]:
    """A size that is none."""
    return (
        f"{name} {value!r}"[:60],
        config(**{name: value}),
        refused(name, "config of checkpoint", "positive whole number", repr(value)[:40]),
    )


def edit_tokenizer(edit: Callable[[dict], object]) -> Damage:
    def damage(at: Path) -> None:
        whole = json.loads((at / TOKENIZER).read_text(encoding="utf-8"))
        edit(whole)
        (at / TOKENIZER).write_text(json.dumps(whole), encoding="utf-8")

    return damage


def set_part(name: str, value: object) -> Damage:
    return edit_tokenizer(lambda whole: whole.__setitem__(name, value))


def write_vocabulary(content: bytes) -> Damage:
    """A vocabulary alone, without the tokenizer that was made of it."""

    def damage(at: Path) -> None:
        (at / TOKENIZER).unlink()
        (at / "vocab.txt").write_bytes(content)

    return damage


def take_tokenizer(road: str) -> Damage:
    """Put the tokenizer of another kind of checkpoint beside the weights."""

    def damage(at: Path) -> None:
        remove(*VOCABULARIES)(at)
        transformers.AutoTokenizer.from_pretrained(keep(road)).save_pretrained(at)

    return damage


def drop_frame(at: Path) -> None:
    """A tokenizer that puts nothing around texts, as one without special pieces."""
    set_part("post_processor", None)(at)
    set_part("added_tokens", [])(at)


def write_code(at: Path) -> None:
    """Code of its own, which would end the process."""
    (at / "modeling_own.py").write_text("raise SystemExit('code of a checkpoint has run')")
    change(
        CONFIG,
        architectures=["OwnForSequenceClassification"],
        auto_map={
            "AutoConfig": "modeling_own.Own",
            "AutoModelForSequenceClassification": "modeling_own.Own",
        },
    )(at)


def write_code_of_unknown(at: Path) -> None:
    write_code(at)
    change(CONFIG, model_type="own", architectures=None)(at)


def write_tokenizer_code(at: Path) -> None:
    write_code(at)
    change(
        "tokenizer_config.json",
        tokenizer_class="OwnTokenizer",
        auto_map={"AutoTokenizer": ["modeling_own.Own", None]},
    )(at)
    change(CONFIG, architectures=["BertForSequenceClassification"], auto_map={})(at)


no_json = refused(CONFIG, "JSON")
no_object = refused(CONFIG, "JSON object")
CONFIGS: list[tuple[str, Damage, object]] = [
    ("missing", remove(CONFIG), refused("checkpoint", CONFIG)),
    ("empty", rewrite(CONFIG, ""), no_json),
    ("blank", rewrite(CONFIG, " \n"), no_json),
    ("no JSON", rewrite(CONFIG, "model_type: bert\n"), no_json),
    ("cut", rewrite(CONFIG, '{"model_type": "bert",'), no_json),
    ("Latin-1", rewrite(CONFIG, '{"model_type": "bért"}'.encode("latin-1")), no_json),
    ("UTF-16", rewrite(CONFIG, '{"model_type": "bert"}'.encode("utf-16")), no_json),
    ("nested without end", rewrite(CONFIG, "[" * 100_000), no_json),
    ("a list", rewrite(CONFIG, "[]"), no_object),
    ("a number", rewrite(CONFIG, "7"), no_object),
    ("a text", rewrite(CONFIG, '"bert"'), no_object),
    ("null", rewrite(CONFIG, "null"), no_object),
    ("an empty object", rewrite(CONFIG, "{}"), refused("checkpoint", "model_type")),
    ("a folder", lambda at: ((at / CONFIG).unlink(), (at / CONFIG).mkdir()), refused(CONFIG)),
    (
        "a pointer",
        rewrite(CONFIG, "version https://git-lfs.github.com/spec/v1\n"),
        refused(CONFIG, "git lfs pull"),
    ),
    ("unknown keys", config(colour="green", answer=42), True),
    ("model_type a number", config(model_type=7), refused("model_type", "text", "7")),
    ("model_type a list", config(model_type=["bert"]), refused("model_type", "text")),
    ("model_type null", config(model_type=None), refused("checkpoint", "None")),
    ("model_type misspelt", config(model_type="bertt"), refused("bertt")),
    ("model_type a path", config(model_type="../../etc"), refused("../../etc")),
    (
        "another family",
        config(model_type="distilbert"),
        refused("checkpoint", "hidden_dim", "3072"),
    ),
    ("another family's weights", config(model_type="gpt2"), refused("checkpoint")),
    ("of pictures", config(model_type="vit"), refused("checkpoint")),
    ("architectures a text", config(architectures="BertModel"), refused("architectures", "list")),
    ("architectures numbers", config(architectures=[1]), refused("architectures", "list")),
    ("architectures unknown", config(architectures=["NoSuchModel"]), True),
    (
        "heads that do not divide",
        config(num_attention_heads=5),
        refused("checkpoint", "heads", "5"),
    ),
    ("activation nobody knows", config(hidden_act="magic"), refused("checkpoint", "magic")),
    ("dropout as a text", config(hidden_dropout_prob="much"), refused("checkpoint", "dropout")),
    ("id2label a list", config(id2label=["a"]), refused("checkpoint", "id2label")),
    (
        "three labels, one stored",
        config(num_labels=3, id2label={"0": "a", "1": "b", "2": "c"}),
        refused("classifier", "[3"),
    ),
    ("fewer segments", config(type_vocab_size=1), refused("token_type_embeddings", "[1, 32]")),
    (
        "padding piece beyond the vocabulary",
        config(pad_token_id=10**6),
        refused("checkpoint", "Padding_idx"),
    ),
    ("asks for half precision", config(dtype="float16", torch_dtype="float16"), True),
    ("asks for a type nobody knows", config(dtype="float3"), refused("checkpoint", "float3")),
    ("asks for a kernel", config(attn_implementation="some/kernel"), True),
    (
        "quantised by a package",
        config(quantization_config={"quant_method": "martian"}),
        True,
    ),
    ("quantised, a text", config(quantization_config="yes"), refused("checkpoint")),
    (
        "weights elsewhere",
        config(transformers_weights="../../x.safetensors"),
        refused("checkpoint", "x.safetensors"),
    ),
    ("code of its own", write_code, refused("code of its own", "OwnForSequenceClassification")),
    (
        "code of an unknown family",
        write_code_of_unknown,
        refused("checkpoint", "own is code of its own"),
    ),
    *(number("hidden_size", value) for value in ("32", 0, -32, 32.5, True, [], {})[:5]),
    *(number("num_hidden_layers", value) for value in ("three", 0, -1, 1e9, 10**9)),
    *(number("num_attention_heads", value) for value in ("4", 0, -4)),
    *(number("vocab_size", value) for value in ("many", 0, -1, {"a": 1})),
    *(number("intermediate_size", value) for value in ("64", 0)),
    *(number("num_labels", value) for value in (0, -1, "one", 10**9)),
]
TOKENIZERS: list[tuple[str, Damage, object]] = [
    ("empty", rewrite(TOKENIZER, ""), refused(TOKENIZER, "JSON")),
    ("cut", rewrite(TOKENIZER, '{"version": "1.0", "model": {'), refused(TOKENIZER, "JSON")),
    ("a list", rewrite(TOKENIZER, "[]"), refused(TOKENIZER, "JSON object", "list")),
    ("an empty object", rewrite(TOKENIZER, "{}"), refused("checkpoint", "tokenizer")),
    ("Latin-1", rewrite(TOKENIZER, '{"é": 1}'.encode("latin-1")), refused(TOKENIZER, "UTF-8")),
    (
        "settings a list",
        rewrite("tokenizer_config.json", "[1]"),
        refused("tokenizer_config.json", "JSON object"),
    ),
    (
        "settings cut",
        rewrite("tokenizer_config.json", "{"),
        refused("tokenizer_config.json", "JSON"),
    ),
    (
        "settings a pointer",
        rewrite("tokenizer_config.json", "version https://git-lfs.github.com/spec/v1"),
        refused("tokenizer_config.json", "git lfs pull"),
    ),
    ("no settings", remove("tokenizer_config.json"), True),
    (
        "unknown normaliser",
        set_part("normalizer", {"type": "Magic"}),
        refused("checkpoint", "tokenizer"),
    ),
    ("unknown model", set_part("model", {"type": "Magic"}), refused("checkpoint", "tokenizer")),
    (
        "unknown post-processor",
        set_part("post_processor", {"type": "Magic"}),
        refused("checkpoint", "tokenizer"),
    ),
    ("unknown decoder", set_part("decoder", {"type": "Magic"}), refused("checkpoint", "tokenizer")),
    ("unknown version", set_part("version", "9.9"), refused("checkpoint", "tokenizer")),
    (
        "vocabulary a list of numbers",
        edit_tokenizer(lambda whole: whole["model"].__setitem__("vocab", [1, 2])),
        refused("checkpoint", "tokenizer"),
    ),
    (
        "vocabulary with negative numbers",
        edit_tokenizer(lambda whole: whole["model"]["vocab"].__setitem__("cat", -1)),
        refused("checkpoint", "tokenizer"),
    ),
    (
        "a piece beyond the model",
        edit_tokenizer(lambda whole: whole["model"]["vocab"].__setitem__("zebra", 10**6)),
        refused("tokenizer of its model", "1000000"),
    ),
    (
        "no vocabulary",
        edit_tokenizer(lambda whole: whole["model"].__setitem__("vocab", {})),
        refused("checkpoint", "tokenizer"),
    ),
    ("of a T5", take_tokenizer("T5"), refused("checkpoint", "tokenizer")),
    ("of a causal model", take_tokenizer("causal"), refused("checkpoint", "tokenizer")),
    ("class nobody knows", change("tokenizer_config.json", tokenizer_class="MagicTokenizer"), True),
    (
        "class a number",
        change("tokenizer_config.json", tokenizer_class=7),
        refused("tokenizer_class", "7"),
    ),
    (
        "limit a text",
        change("tokenizer_config.json", model_max_length="long"),
        refused("model_max_length", "'long'"),
    ),
    (
        "limit 0",
        change("tokenizer_config.json", model_max_length=0),
        refused("model_max_length", "0"),
    ),
    (
        "limit negative",
        change("tokenizer_config.json", model_max_length=-5),
        refused("model_max_length", "-5"),
    ),
    ("limit without end", change("tokenizer_config.json", model_max_length=10**30), True),
    ("vocab.txt empty", write_vocabulary(b""), refused("checkpoint", "tokenizer")),
    (
        "vocab.txt binary",
        write_vocabulary(bytes(range(128, 256)) * 9),
        refused("checkpoint", "tokenizer"),
    ),
    ("vocab.txt one word", write_vocabulary(b"cat\n"), refused("checkpoint", "tokenizer")),
    (
        "vocab.txt a pointer",
        write_vocabulary(b"version https://git-lfs.github.com/spec/v1"),
        refused("vocab.txt", "git lfs pull"),
    ),
    ("code of its own", write_tokenizer_code, True),
]

ODD_INPUTS: list[OddInput] = [
    odd(f"{kind}, {what}", damage, answer)
    for kind, inputs in {"config": CONFIGS, "tokenizer": TOKENIZERS}.items()
    for what, damage, answer in inputs
]
