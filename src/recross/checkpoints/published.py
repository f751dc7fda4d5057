"""The contracts of published checkpoints: where each is stated, and under which name."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from recross.checkpoints.contracts import (
    FILE,
    AnyContract,
    Contract,
    LateInteractionContract,
    PromptContract,
    read_contract,
)
from recross.errors import InputError
from recross.machine.hardware import Precision

MONO = "Query: {query} Document: {document} Relevant:"
RANK = "Query: {query} Document: {document}"
DUO = "Query: {query} Document0: {document0} Document1: {document1} Relevant:"
TRUE_FALSE = ("▁false", "▁true")

_CARD = "https://huggingface.co/cross-encoder/{}"
_MS_MARCO = {
    f"cross-encoder/{name}": Contract(name, "logit", 512, None, _CARD.format(name))
    for size in ("TinyBERT-L-2", "MiniLM-L-2", "MiniLM-L-4", "MiniLM-L-6", "MiniLM-L-12")
    for name in (f"ms-marco-{size}-v2", f"ms-marco-{size.replace('-L-', '-L')}-v2")
}
_V1 = {
    f"cross-encoder/{name}": Contract(name, "sigmoid", 512, None, _CARD.format(name))
    for layers in (2, 4, 6)
    for name in (f"ms-marco-TinyBERT-L-{layers}", f"ms-marco-TinyBERT-L{layers}")
}
_BGE = {
    f"BAAI/{name}": Contract(name, "logit", 512, None, f"https://huggingface.co/BAAI/{name}")
    for name in ("bge-reranker-base", "bge-reranker-large", "bge-reranker-v2-m3")
}
# queries of 32 tokens, documents of 256, three special ones
_WEBIS = {
    f"webis/{name}": Contract(
        f"webis-{name}", "logit", 291, 32, f"https://huggingface.co/webis/{name}"
    )
    for name in ("monoelectra-base", "monoelectra-large")
}
_CLASSIFIERS = (
    _MS_MARCO
    | _V1
    | _BGE
    | _WEBIS
    | {
        "cross-encoder/ms-marco-electra-base": Contract(
            "ms-marco-electra-base", "sigmoid", 512, None, _CARD.format("ms-marco-electra-base")
        ),
        "castorini/monobert-large-msmarco": Contract(
            "monobert", "log_softmax", 512, 64, "https://github.com/nyu-dl/dl4marco-bert"
        ),
        # two classes of which only the second one's logit is read, in rank_llm
        "castorini/monoelectra-base": Contract(
            "monoelectra",
            "second_logit",
            source="https://github.com/castorini/rank_llm, MonoELECTRA",
        ),
        "nboost/pt-bert-base-uncased-msmarco": Contract(
            "nboost-bert-base", "log_softmax", 512, None, "https://huggingface.co/nboost"
        ),
        "nboost/pt-bert-large-msmarco": Contract(
            "nboost-bert-large", "log_softmax", 512, None, "https://huggingface.co/nboost"
        ),
    }
)

_PYGAGGLE = "https://github.com/castorini/pygaggle"
MONOT5 = PromptContract("monot5", MONO, "log_softmax", TRUE_FALSE, source=_PYGAGGLE)
DUOT5 = PromptContract("duot5", DUO, "log_softmax", TRUE_FALSE, source=_PYGAGGLE)
RANKT5 = PromptContract(
    "rankt5",
    RANK,
    "logit",
    ("<extra_id_10>",),
    source="https://huggingface.co/Soyoung97/RankT5-base",
)
# T5 was trained in bfloat16; its activations leave the range of fp16 (transformers #4586)
T5_PRECISIONS: tuple[Precision, ...] = ("fp32", "bf16")
T5_CONTRACTS = {
    contract.name: replace(contract, precisions=T5_PRECISIONS)
    for contract in (
        MONOT5,
        PromptContract("mt5-no-yes", MONO, "log_softmax", ("▁no", "▁yes"), source=_PYGAGGLE),
        PromptContract("mt5-blank-true", MONO, "log_softmax", ("▁", "▁true"), source=_PYGAGGLE),
        PromptContract("ptt5", MONO, "log_softmax", ("▁não", "▁sim"), source=_PYGAGGLE),
        PromptContract("monoptt5", MONO, "log_softmax", ("▁Não", "▁Sim"), source=_PYGAGGLE),
        RANKT5,
        # as the paper's own T5X task encodes its inputs: without an end of sequence
        PromptContract(
            "rankt5-t5x",
            RANK,
            "logit",
            ("<extra_id_10>",),
            add_eos=False,
            source="https://github.com/google-research/google-research/tree/master/rankt5",
        ),
        PromptContract(
            "rankt5-encoder", RANK, "head", source="Zhuang et al. 2023, RankT5, section 4.2"
        ),
        # T5 has no piece "▁0": the blank is given, the bare digit after it is read
        PromptContract(
            "t5-digits",
            "Query: {query} Document: {document} Score:",
            "expected_value",
            tuple("0123456789"),
            opening=("▁",),
            source="ours; no published checkpoint",
        ),
        DUOT5,
        # both answers begin with the piece "▁Document": it is given, the digit after it is read
        PromptContract(
            "duot5-named",
            "Query: {query} Document1: {document0} Document2: {document1} More relevant:",
            "log_softmax",
            ("2", "1"),
            opening=("▁Document",),
            source="ours; no published checkpoint",
        ),
    )
}

_T5_CHECKPOINTS = {
    **{
        f"castorini/monot5-{size}-msmarco{steps}": "monot5"
        for size in ("small", "base", "large", "3b")
        for steps in ("", "-10k", "-100k")
    },
    "castorini/monot5-base-med-msmarco": "monot5",
    "castorini/monot5-3b-med-msmarco": "monot5",
    "unicamp-dl/mt5-base-mmarco-v2": "mt5-no-yes",
    "unicamp-dl/mt5-3B-mmarco-en-pt": "mt5-blank-true",
    "unicamp-dl/mt5-13b-mmarco-100k": "mt5-blank-true",
    "unicamp-dl/ptt5-base-pt-msmarco-100k-v2": "ptt5",
    "unicamp-dl/ptt5-base-en-pt-msmarco-100k-v2": "ptt5",
    "unicamp-dl/monoptt5-base": "monoptt5",
    **{f"Soyoung97/RankT5-{size}": "rankt5" for size in ("base", "large", "3b")},
    **{
        f"castorini/duot5-{name}": "duot5"
        for name in ("base-msmarco", "base-msmarco-10k", "3b-msmarco", "3b-med-msmarco")
    },
}
_QWEN3 = PromptContract(
    "qwen3-reranker",
    "<Instruct>: Given a web search query, retrieve relevant passages that answer the query\n"
    "<Query>: {query}\n<Document>: {document}",
    "log_softmax",
    ("no", "yes"),
    add_eos=False,
    max_length=8192,
    prefix="<|im_start|>system\nJudge whether the Document meets the requirements based on the"
    ' Query and the Instruct provided. Note that the answer can only be "yes" or "no".<|im_end|>\n'
    "<|im_start|>user\n",
    suffix="<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n",
    source="https://huggingface.co/Qwen/Qwen3-Reranker-0.6B",
)
_RANKLLAMA = PromptContract(
    "rankllama",
    "query: {query}<s>document: {document}",
    "head",
    add_eos=False,
    prefix="<s>",
    source="https://huggingface.co/castorini/rankllama-v1-7b-lora-passage",
)
COLBERT = LateInteractionContract(
    "colbertv2", source="https://huggingface.co/colbert-ir/colbertv2.0"
)

PUBLISHED: dict[str, AnyContract] = {
    **_CLASSIFIERS,
    **{checkpoint: T5_CONTRACTS[name] for checkpoint, name in _T5_CHECKPOINTS.items()},
    **{f"Qwen/Qwen3-Reranker-{size}": _QWEN3 for size in ("0.6B", "4B", "8B")},
    "castorini/rankllama-v1-7b-lora-passage": _RANKLLAMA,
    "colbert-ir/colbertv2.0": COLBERT,
}

BY_NAME: dict[str, AnyContract] = {
    **{contract.name: contract for contract in PUBLISHED.values()},
    **T5_CONTRACTS,
}


def named_contract(name: str) -> AnyContract:
    """A contract by its name.

    Raises:
        InputError: there is none of that name.
    """
    if name not in BY_NAME:
        raise InputError(f"contract must be one of {', '.join(BY_NAME)}, got {name!r}")
    return BY_NAME[name]


def known_contract(checkpoint: str) -> AnyContract | None:
    """The contract stored beside a checkpoint's weights, or published for its name, or none."""
    folder = Path(checkpoint)
    return read_contract(folder) if (folder / FILE).is_file() else PUBLISHED.get(checkpoint)


def prompt_contract(
    checkpoint: str,
    given: str | PromptContract | None,
    max_length: int | None = None,
    max_query_length: int | None = None,
) -> PromptContract:
    """A prompt contract as given, named, stored or published, with limits of one's own.

    Raises:
        InputError: the contract is unknown, or that of another kind of network.
    """
    contract = given or known_contract(checkpoint)
    if isinstance(contract, str):
        contract = named_contract(contract)
    if not isinstance(contract, PromptContract):
        found = contract.name if contract else None
        raise InputError(
            f"contract must be that of a prompt, such as monot5, got {found!r} for {checkpoint!r}"
        )
    return replace(
        contract,
        max_length=max_length or contract.max_length,
        max_query_length=max_query_length or contract.max_query_length,
    )
