"""Odd files of weights: cut, empty, of other numbers, in parts, under other names."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from tests.odd_inputs.odd_input import OddInput, refused
from tests.odd_inputs.tiny_checkpoints import (
    POINTER,
    Damage,
    config,
    header,
    keep_bytes,
    odd,
    remove,
    rewrite,
    weights,
    write_json,
)

FILE = "model.safetensors"
WORDS = "bert.embeddings.word_embeddings.weight"
not_whole = refused("checkpoint", FILE, "must be whole", "bytes")


def fill(value: float, name: str = WORDS, dtype: torch.dtype = torch.float32) -> Damage:
    def edit(state):
        state[name] = state[name].to(dtype)
        state[name].view(-1)[-1] = value
        return state

    return weights(edit)


def cast_all(dtype: torch.dtype) -> Damage:
    return weights(lambda state: {name: weight.to(dtype) for name, weight in state.items()})


def rename(old: str, new: str) -> Damage:
    return weights(lambda state: {name.replace(old, new): w for name, w in state.items()})


def prefix(text: str) -> Damage:
    return weights(lambda state: {text + name: weight for name, weight in state.items()})


def shard(at: Path, lost: int = 0, **index: object) -> None:
    """Save the weights in two parts with their index, ``lost`` of them left out."""
    state = load_file(at / FILE)
    (at / FILE).unlink()
    names, named = sorted(state), {}
    for number, some in enumerate((names[::2], names[1::2]), start=1):
        part = f"model-{number:05}-of-00002.safetensors"
        named |= dict.fromkeys(some, part)
        if number > lost:
            save_file({name: state[name] for name in some}, at / part, {"format": "pt"})
    write_json(at / f"{FILE}.index.json", {"metadata": {}, "weight_map": named} | index)


def shard_with(**index: object) -> Damage:
    return lambda at: shard(at, **index)


def put_bin(make, legacy: bool = False) -> Damage:
    """Put what torch saves of the weights in the place of their file."""

    def damage(at: Path) -> None:
        state = load_file(at / FILE)
        (at / FILE).unlink()
        torch.save(make(state), at / "pytorch_model.bin", _use_new_zipfile_serialization=not legacy)

    return damage


def put_raw(content: bytes) -> Damage:
    def damage(at: Path) -> None:
        (at / FILE).unlink()
        (at / "pytorch_model.bin").write_bytes(content)

    return damage


def damage_shard(at: Path) -> None:
    shard(at)
    keep_bytes("model-00001-of-00002.safetensors", 0.9)(at)


def point_to_shard(at: Path) -> None:
    shard(at)
    rewrite("model-00002-of-00002.safetensors", POINTER)(at)


def escape(at: Path) -> None:
    shard(at)
    (at / "model-00001-of-00002.safetensors").rename(at.parent / "away.safetensors")
    index = json.loads((at / f"{FILE}.index.json").read_text())
    moved = {
        n: p.replace("model-00001-of-00002", "../away") for n, p in index["weight_map"].items()
    }
    write_json(at / f"{FILE}.index.json", {"weight_map": moved})


def overlap(values: dict) -> None:
    first, second = (name for name in list(values)[:3] if name != "__metadata__")
    values[second]["data_offsets"] = values[first]["data_offsets"]
    values[second]["shape"] = values[first]["shape"]


def set_first(**fields: object):
    def edit(values: dict) -> None:
        values[next(name for name in values if name != "__metadata__")].update(fields)

    return edit


class Payload:
    """What runs when an unpickler believes it."""

    def __reduce__(self):
        return (exec, ("raise SystemExit('a pickle has run')",))


WHOLE: list[tuple[str, Damage, object]] = [
    ("empty file", rewrite(FILE, b""), not_whole),
    ("one byte", rewrite(FILE, b"{"), not_whole),
    ("zeros", rewrite(FILE, b"\0" * 4096), not_whole),
    ("garbage", rewrite(FILE, bytes(range(256)) * 8), not_whole),
    ("a page of HTML", rewrite(FILE, "<!DOCTYPE html><html>404</html>"), not_whole),
    ("a pickle by another name", rewrite(FILE, b"\x80\x02}q\x00."), not_whole),
    ("a zip by another name", rewrite(FILE, b"PK\x03\x04" + b"\0" * 99), not_whole),
    ("header alone", keep_bytes(FILE, 0.02), not_whole),
    ("one byte short", lambda at: keep_last(at, -1), not_whole),
    ("one byte too long", lambda at: keep_last(at, 1), not_whole),
    ("header of 2^63", rewrite(FILE, struct.pack("<Q", 2**63) + b"{}"), not_whole),
    ("header of 2^64 - 1", rewrite(FILE, struct.pack("<Q", 2**64 - 1) + b"{}"), not_whole),
    ("header longer than the file", rewrite(FILE, struct.pack("<Q", 999) + b"{}"), not_whole),
    ("header of no JSON", rewrite(FILE, struct.pack("<Q", 4) + b"{{{{"), not_whole),
    ("header a list", rewrite(FILE, struct.pack("<Q", 2) + b"[]"), not_whole),
    ("offsets that overlap", header(overlap), not_whole),
    ("offsets past the end", header(set_first(data_offsets=[0, 2**40])), not_whole),
    ("offsets backwards", header(set_first(data_offsets=[8, 0])), not_whole),
    ("offsets as texts", header(set_first(data_offsets=["0", "8"])), not_whole),
    ("shape negative", header(set_first(shape=[-1, 32])), not_whole),
    ("shape beyond 64 bits", header(set_first(shape=[2**62, 2**62])), not_whole),
    ("shape of other numbers", header(set_first(shape=[3, 7])), not_whole),
    ("dtype nobody knows", header(set_first(dtype="F999")), not_whole),
    ("dtype another width", header(set_first(dtype="F64")), not_whole),
    ("no weights in the file", weights(lambda _: {}), refused("checkpoint", "lacks bert")),
    ("a folder by that name", lambda at: make_folder(at), refused("checkpoint", FILE)),
]
NUMBERS: list[tuple[str, Damage, object]] = [
    ("NaN in an embedding", fill(float("nan")), refused("finite", WORDS)),
    ("inf in an embedding", fill(float("inf")), refused("finite", WORDS)),
    ("-inf in the head", fill(-float("inf"), "classifier.weight"), refused("classifier.weight")),
    ("NaN in a bias", fill(float("nan"), "classifier.bias"), refused("classifier.bias")),
    ("NaN in half", fill(float("nan"), dtype=torch.float16), refused("finite", WORDS)),
    ("inf in bf16", fill(float("inf"), dtype=torch.bfloat16), refused("finite", WORDS)),
    (
        "NaN everywhere",
        cast_nan := weights(
            lambda state: {name: weight * float("nan") for name, weight in state.items()}
        ),
        refused("finite", "more"),
    ),
    ("the largest number", fill(3e38, "bert.pooler.dense.bias"), False),
    ("double precision", cast_all(torch.float64), True),
    ("whole numbers of 8 bits", cast_all(torch.int8), refused("floating-point", "I8")),
    ("whole numbers of 64 bits", cast_all(torch.int64), refused("floating-point", "I64")),
    ("truth values", cast_all(torch.bool), refused("floating-point", "BOOL")),
    ("8-bit floats", cast_all(torch.float8_e4m3fn), refused("floating-point", "F8_E4M3")),
    ("complex numbers", cast_all(torch.complex64), refused("floating-point", "C64")),
]
NAMES: list[tuple[str, Damage, object]] = [
    ("compiled", prefix("_orig_mod."), True),
    ("wrapped", prefix("module."), True),
    ("compiled and wrapped", prefix("module._orig_mod."), True),
    ("of a Lightning module", prefix("model."), True),
    (
        "gamma and beta of old norms",
        weights(
            lambda state: {
                name.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
                    "LayerNorm.bias", "LayerNorm.beta"
                ): weight
                for name, weight in state.items()
            }
        ),
        True,
    ),
    ("of another model", rename("bert.encoder", "gpt.blocks"), refused("lacks", "bert.encoder")),
    (
        "head lost",
        weights(
            lambda state: {
                name: weight for name, weight in state.items() if "classifier" not in name
            }
        ),
        refused("lacks", "classifier.bias", "fresh_head=true"),
    ),
    (
        "a layer lost",
        weights(
            lambda state: {name: weight for name, weight in state.items() if "layer.1." not in name}
        ),
        refused("lacks", "bert.encoder.layer.1"),
    ),
    (
        "a layer too many",
        weights(
            lambda state: (
                state
                | {
                    name.replace("layer.2.", "layer.3."): weight.clone()
                    for name, weight in state.items()
                }
            )
        ),
        refused("no others", "layer.3"),
    ),
    (
        "a head of three",
        weights(
            lambda state: (
                state | {"classifier.weight": torch.zeros(3, 32), "classifier.bias": torch.zeros(3)}
            )
        ),
        refused("checkpoint", "classifier", "[3]", "[1]"),
    ),
    (
        "an embedding too narrow",
        weights(lambda state: state | {WORDS: state[WORDS][:, :16].clone()}),
        refused("checkpoint", "word_embeddings", "16]"),
    ),
    (
        "an embedding too short",
        weights(lambda state: state | {WORDS: state[WORDS][:40].clone()}),
        refused("vocab_size", "checkpoint"),
    ),
    (
        "position numbers too",
        weights(lambda state: state | {"bert.embeddings.position_ids": torch.arange(80)[None]}),
        True,
    ),
]
PARTS: list[tuple[str, Damage, object]] = [
    ("two files", shard, True),
    ("first of two files gone", shard_with(lost=1), refused("index.json", "model-00001-of-00002")),
    ("both files gone", shard_with(lost=2), refused("index.json", "model-00001", "model-00002")),
    ("one of two files cut", damage_shard, refused("model-00001-of-00002", "whole")),
    ("one of two files a pointer", point_to_shard, refused("model-00002", "git lfs pull")),
    ("one of two files outside", escape, refused("beside it", "away")),
    ("index without a map", shard_with(weight_map=None), refused("index.json", "weight_map")),
    ("index with a list", shard_with(weight_map=["a"]), refused("index.json", "weight_map")),
    ("index of numbers", shard_with(weight_map={"a": 1}), refused("index.json", "weight_map")),
    ("index of nothing", shard_with(weight_map={}), refused("index.json", "at least one")),
    (
        "index of no JSON",
        lambda at: (remove(FILE)(at), rewrite(f"{FILE}.index.json", "{")(at)),
        refused("index.json", "JSON"),
    ),
]
PICKLES: list[tuple[str, Damage, object]] = [
    ("weights in a zip", put_bin(dict), True),
    ("weights in a legacy pickle", put_bin(dict, legacy=True), True),
    (
        "a payload in a zip",
        put_bin(lambda state: state | {"x": Payload()}),
        refused("exec", "not run"),
    ),
    (
        "a payload in a legacy pickle",
        put_bin(lambda state: state | {"x": Payload()}, legacy=True),
        refused("exec", "not run"),
    ),
    ("nothing but a payload", put_bin(lambda _: Payload()), refused("exec", "not run")),
    (
        "a list",
        put_bin(lambda state: list(state.values())),
        refused("tensors by their names", "list"),
    ),
    ("a tensor", put_bin(lambda _: torch.ones(3)), refused("tensors by their names", "Tensor")),
    (
        "a Lightning checkpoint",
        put_bin(lambda state: {"state_dict": state, "epoch": 3}),
        refused("tensors by their names"),
    ),
    ("empty", put_raw(b""), refused("pytorch_model.bin", "0 bytes")),
    ("garbage", put_raw(bytes(range(256))), refused("pytorch_model.bin")),
    ("a raw opcode", put_raw(b"cos\nsystem\n(S'true'\ntR."), refused("pytorch_model.bin")),
    (
        "a cut zip",
        lambda at: (put_bin(dict)(at), keep_bytes("pytorch_model.bin", 0.5)(at)),
        refused("pytorch_model.bin", "whole"),
    ),
    ("a pointer", put_raw(POINTER.encode()), refused("pytorch_model.bin", "git lfs pull")),
    ("NaN", lambda at: (cast_nan(at), put_bin(dict)(at)), refused("finite")),
    (
        "whole numbers",
        lambda at: (cast_all(torch.int8)(at), put_bin(dict)(at)),
        refused("floating-point", "int8"),
    ),
    (
        "TensorFlow's alone",
        lambda at: (at / FILE).rename(at / "tf_model.h5"),
        refused("checkpoint", FILE),
    ),
]
SIZES: list[tuple[str, Damage, object]] = [
    (
        "more layers than weights",
        config(num_hidden_layers=10**9),
        refused("num_hidden_layers", "1000000000"),
    ),
    ("one layer more", config(num_hidden_layers=4), refused("lacks", "bert.encoder.layer.3")),
    ("wider", config(hidden_size=10**6), refused("hidden_size", "1000000")),
    ("a larger vocabulary", config(vocab_size=10**9), refused("vocab_size", "1000000000")),
    (
        "wider in between",
        config(intermediate_size=128),
        refused("checkpoint", "intermediate", "128"),
    ),
    ("more positions", config(max_position_embeddings=512), refused("position_embeddings", "512")),
]


def keep_last(at: Path, more: int) -> None:
    content = (at / FILE).read_bytes()
    (at / FILE).write_bytes(content[:more] if more < 0 else content + b"\0" * more)


def make_folder(at: Path) -> None:
    (at / FILE).unlink()
    (at / FILE).mkdir()


ODD_INPUTS: list[OddInput] = [
    odd(f"{kind}, {what}", damage, answer)
    for kind, inputs in {
        "weights": WHOLE,
        "numbers": NUMBERS,
        "names of weights": NAMES,
        "weights in parts": PARTS,
        "pickled weights": PICKLES,
        "sizes": SIZES,
    }.items()
    for what, damage, answer in inputs
]
