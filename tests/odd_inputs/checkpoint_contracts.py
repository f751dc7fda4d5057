"""Odd contracts and settings beside weights that are right."""

from __future__ import annotations

import json
from pathlib import Path

from tests.odd_inputs.odd_input import OddInput, refused
from tests.odd_inputs.tiny_checkpoints import OWN_PROMPT, Damage, change, odd, rewrite, write_json

CONTRACT, MODULES = "recross_contract.json", "modules.json"
MODEL, ENCODER = "config_sentence_transformers.json", "sentence_bert_config.json"
POOLING = "1_Pooling/config.json"
OWN: dict[str, dict[str, object]] = {
    "T5 of its own contract": OWN_PROMPT,
    "cross-encoder": {
        "kind": "Contract",
        "name": "own",
        "read_out": "sigmoid",
        "max_length": 64,
        "max_query_length": None,
        "documents": 1,
    },
    "multi-vector": {
        "kind": "LateInteractionContract",
        "name": "own",
        "query_length": 32,
        "document_length": 60,
        "dimension": 16,
    },
    "bi-encoder": {"kind": "BiEncoderContract", "name": "own", "max_length": 32},
}
"""A right contract for a road."""


def state(road: str, **values: object) -> Damage:
    """Store a contract, right but for what is given."""
    return lambda at: write_json(at / CONTRACT, OWN[road] | values)


def contract(road: str, answer: object, **values: object) -> OddInput:
    said = ", ".join(f"{name} {value!r}" for name, value in values.items())
    return odd(f"contract, {said}"[:120], state(road, **values), answer, road)


def wrong(road: str, *says: str, **values: object) -> OddInput:
    """A contract with one wrong value, whose error names the file, the argument and the value."""
    ((name, value),) = values.items()
    return contract(
        road,
        refused(CONTRACT, name, *says, *([] if isinstance(value, list) else [str(value)[:20]])),
        **values,
    )


def setting(road: str, file: str, name: str, value: object, *says: str) -> OddInput:
    return odd(
        f"{file}, {name} {value!r}"[:120],
        change(file, **{name: value}),
        refused(name, *(says or (Path(file).name,))),
        road,
    )


def without(road: str, name: str) -> OddInput:
    def damage(at: Path) -> None:
        write_json(at / CONTRACT, {key: v for key, v in OWN[road].items() if key != name})

    return odd(f"contract without {name}", damage, refused(CONTRACT, name), road)


def file(road: str, name: str, what: str, content: bytes | str, *says: str) -> OddInput:
    return odd(f"{name}, {what}", rewrite(name, content), refused(name, *says), road)


def listed(what: str, entries: object, *says: str) -> OddInput:
    return file("bi-encoder", MODULES, what, json.dumps(entries), *says)


def module(kind: str, path: str = "", number: int = 0) -> dict[str, object]:
    return {"idx": number, "name": str(number), "path": path, "type": kind}


TRANSFORMER = module("sentence_transformers.models.Transformer")
NOT_JSON = {"empty": "", "cut": '{"name": ', "YAML": "name: own\n", "binary": b"\xff\xfe\x00"}
NO_OBJECT = {"a list": "[]", "a number": "3", "a text": '"own"', "null": "null"}
EVERY_FILE = [
    ("cross-encoder", CONTRACT),
    ("bi-encoder", CONTRACT),
    ("bi-encoder", MODEL),
    ("bi-encoder", ENCODER),
    ("multi-vector", MODEL),
]

ODD_INPUTS: list[OddInput] = [
    contract("cross-encoder", True, name="nothing odd"),
    contract("T5 of its own contract", True, name="nothing odd"),
    *(
        file(road, name, what, content, "JSON")
        for road, name in EVERY_FILE
        for what, content in NOT_JSON.items()
    ),
    *(
        file(road, name, what, content, "JSON object")
        for road, name in EVERY_FILE
        for what, content in NO_OBJECT.items()
    ),
    *(
        wrong("cross-encoder", kind=kind)
        for kind in (
            "Path",
            "list",
            "os.system",
            "recross.runs.Run",
            "builtins.eval",
            "",
            7,
            None,
            True,
            ["Contract"],
            {"Contract": 1},
            "contract",
            "GeneratingContract",
            "__class__",
        )
    ),
    *(
        wrong("cross-encoder", max_length=value)
        for value in (7, 0, -1, "512", 64.5, True, None, [64])
    ),
    contract("cross-encoder", refused("max_length", "80 positions", "100000"), max_length=100_000),
    contract("cross-encoder", refused("max_length", "80 positions", "81"), max_length=81),
    contract("cross-encoder", True, max_length=80),
    *(wrong("cross-encoder", documents=value) for value in (7, 0, 3, "1", 1.5, None, [1])),
    *(
        wrong("cross-encoder", read_out=value)
        for value in ("logits", "SIGMOID", 1, None, ["logit"])
    ),
    *(wrong("cross-encoder", max_query_length=value) for value in (0, 64, 65, "8", False)),
    *(wrong("cross-encoder", query_prompt=value) for value in (7, None, ["a"])),
    *(wrong("cross-encoder", name=value) for value in (7, None, ["own"])),
    *(wrong("cross-encoder", precisions=value) for value in (["fp8"], "fp32", [32], None)),
    *(
        wrong("cross-encoder", **{name: 1})
        for name in ("max_lenght", "kinds", "_", "__class__", "template", "0", "", "self")
    ),
    *(without(road, "name") for road in OWN),
    *(without("T5 of its own contract", name) for name in ("template", "read_out")),
    odd(
        "contract of a prompt",
        lambda at: write_json(at / CONTRACT, OWN_PROMPT),
        refused("checkpoint"),
        "cross-encoder",
    ),
    odd(
        "contract of late interaction",
        lambda at: write_json(at / CONTRACT, OWN["multi-vector"]),
        refused("checkpoint"),
        "cross-encoder",
    ),
    *(wrong("bi-encoder", max_length=value) for value in (0, "32", -3, None)),
    contract("bi-encoder", True, pooling="cls", max_length=32),
    *(wrong("bi-encoder", pooling=value) for value in ("median", "", 3, ["mean"])),
    *(wrong("bi-encoder", similarity=value) for value in ("euclidean", 1, None)),
    *(wrong("bi-encoder", truncate_dim=value) for value in (0, -4, "8", 1.5)),
    *(wrong("bi-encoder", normalise=value) for value in ("yes", 1, None)),
    *(wrong("multi-vector", query_length=value) for value in (3, "32", None, 1.5)),
    *(wrong("multi-vector", document_length=value) for value in (0, "long", None)),
    contract("multi-vector", refused("document_length", "positions", "5000"), document_length=5000),
    contract("multi-vector", refused("dimension", "16", "128"), dimension=128),
    contract("multi-vector", refused("[no such piece]"), query_marker="[no such piece]"),
    *(wrong("multi-vector", query_marker=value) for value in (7, None)),
    *(wrong("multi-vector", filled_to=value) for value in (33, -1, "4")),
    *(wrong("multi-vector", skiplist=value) for value in ("abc", [1], None)),
    odd(
        "modules.json, an object",
        rewrite(MODULES, "{}"),
        refused(MODULES, "list of modules"),
        "bi-encoder",
    ),
    listed("texts", ["Transformer"], "list of modules"),
    listed("no type", [{"path": ""}], "type"),
    listed("no path", [{"type": "a.Transformer"}], "path"),
    listed("path a number", [TRANSFORMER | {"path": 7}], "path"),
    listed("path null", [TRANSFORMER | {"path": None}], "path"),
    listed("type null", [TRANSFORMER | {"type": None}], "type"),
    *(
        odd(
            f"modules.json, path {path!r}",
            rewrite(MODULES, json.dumps([TRANSFORMER | {"path": path}])),
            refused("path of a module", path),
            "bi-encoder",
        )
        for path in ("..", "../other", "/etc", "a/../../b")
    ),
    *(
        odd(
            f"modules.json, {kind}",
            rewrite(MODULES, json.dumps([TRANSFORMER, module(kind, "1_Pooling", 1)])),
            refused("checkpoint"),
            "bi-encoder",
        )
        for kind in (
            "os.system",
            "builtins.exec",
            "subprocess.Popen",
            "own.Pooling",
            "sentence_transformers.models.NoSuch",
        )
    ),
    odd(
        "modules.json, a folder that is not there",
        rewrite(MODULES, json.dumps([TRANSFORMER | {"path": "0_Gone"}])),
        refused("checkpoint"),
        "bi-encoder",
    ),
    *(setting("bi-encoder", POOLING, "pooling_mode_cls_token", value) for value in ("yes", 1, [])),
    *(setting("bi-encoder", POOLING, "pooling_mode", value) for value in (3, {}, [1])),
    *(
        setting("bi-encoder", MODEL, "prompts", value)
        for value in ("query: ", ["query: "], 7, {"query": 7})
    ),
    *(setting("bi-encoder", MODEL, "default_prompt_name", value) for value in (7, ["query"])),
    *(
        setting("bi-encoder", MODEL, "similarity_fn_name", value, "similarity_fn_name")
        for value in (7, "euclidean", "manhattan", ["dot"])
    ),
    *(setting("bi-encoder", MODEL, "truncate_dim", value) for value in ("8", 0, -1, 1.5, [8])),
    *(
        setting("bi-encoder", ENCODER, "max_seq_length", value)
        for value in ("32", 0, -1, 3.5, [32], True)
    ),
    *(setting("bi-encoder", ENCODER, "do_lower_case", value) for value in ("no", 1)),
    *(setting("multi-vector", MODEL, "prompts", value) for value in ("query: ", {"query": 1})),
    setting("multi-vector", MODEL, "similarity_fn_name", 7),
    setting("multi-vector", ENCODER, "query_expansion", "fixed"),
    *(setting("multi-vector", ENCODER, "query_length", value) for value in ("14", 0, -2)),
    *(
        setting(
            "multi-vector", ENCODER, "query_expansion", value, "late interaction must have a length"
        )
        for value in (
            {"strategy": "fixed"},
            {"length": 9},
            {"length": "x", "strategy": "fixed"},
            {"length": 9, "strategy": "magic"},
        )
    ),
    *(
        setting("multi-vector", "1_Dense/config.json", "in_features", value)
        for value in ("32", 0, -3)
    ),
    odd(
        "1_Pooling/config.json, pooling_mode median",
        change(POOLING, pooling_mode="median"),
        refused("pooling must be of mean, cls", "median"),
        "bi-encoder",
    ),
    odd(
        "1_Dense/config.json, in_features 31",
        change("1_Dense/config.json", in_features=31),
        refused("weights of the Dense", "(16, 31)", "(16, 32)"),
        "multi-vector",
    ),
    *(
        setting(
            "multi-vector",
            "1_Dense/config.json",
            "activation_function",
            value,
            "activation_function",
        )
        for value in (7, "os.system", "torch.nn.Magic", "torch.load")
    ),
    *(setting("multi-vector", "1_Dense/config.json", "bias", value) for value in ("no", 1)),
    *(
        setting("multi-vector", "2_MultiVectorMask/config.json", "skiplist_words", value)
        for value in ("abc", [1])
    ),
    *(
        odd(
            f"config.json, activation_fn {value!r}",
            change("config.json", sentence_transformers=value),
            refused("activation_fn" if isinstance(value, dict) else "sentence_transformers"),
        )
        for value in ({"activation_fn": 7}, {"activation_fn": "torch.nn.Magic"}, "Sigmoid", [1])
    ),
]
