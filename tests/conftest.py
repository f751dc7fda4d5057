"""Small real things: a collection to do by hand, and a random BERT of the real class on disk."""

from __future__ import annotations

import atexit
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("WANDB_SILENT", "true")
os.environ.setdefault("RECROSS_KERNELS", "own")  # the last digits of two processes are compared
os.environ.setdefault("RECROSS_PROGRESS", "off")  # what commands say does not depend on the clock
# ir_datasets reads its home when it is imported; its miniature needs no 14 GB of free disk
os.environ["IR_DATASETS_HOME"] = tempfile.mkdtemp(prefix="recross-ir-datasets-")
os.environ["IR_DATASETS_SKIP_DISK_FREE"] = "true"
os.environ["IR_DATASETS_DL_TRIES"] = "1"

import pytest
import torch
from hypothesis import HealthCheck, settings

from recross.collections.collection import Collection
from recross.collections.files import write_beir
from recross.inference.encoders.backends.int8_affine import multiplies_in_int8
from recross.retrieval.retriever import Retriever
from recross.runs import Run

atexit.register(shutil.rmtree, os.environ["IR_DATASETS_HOME"], ignore_errors=True)
settings.register_profile(
    "suite", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("fuzz", settings.get_profile("suite"), derandomize=False, database=None)
settings.load_profile("suite")
torch.set_num_threads(1)

SHARED = Path(__file__).parents[2] / "shared"

needs_int8 = pytest.mark.skipif(
    not multiplies_in_int8(), reason="the processor has no 8-bit dot products"
)


BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@pytest.fixture(scope="module")
def browser():
    """Chromium without a window, driven by playwright; skips where one of them is missing."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright (extra dev)")
    path = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        pytest.skip("needs Chromium on the PATH or in CHROMIUM: apt-get install chromium")
    root = ["--no-sandbox"] if os.geteuid() == 0 else []  # Chromium refuses root in its sandbox
    with sync_api.sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=path, args=root)
        yield running
        running.close()


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """What a command sets up for its log goes with its test: its streams are closed then."""
    root = logging.getLogger()
    handlers, level = [*root.handlers], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


ANIMALS = ["cat", "dog", "owl", "fox", "bee", "ant", "eel", "cow", "hen", "pig", "rat", "bat"]
COLOURS = ["red", "blue", "green", "white", "black", "brown", "grey", "pink"]


def toy_collection() -> Collection:
    """96 documents "a COLOUR ANIMAL lives here ..."; a query names colour and animal of one."""
    documents, queries = {}, {}
    splits: dict[str, dict[str, dict[str, int]]] = {"train": {}, "dev": {}, "test": {}}
    for number, (colour, animal) in enumerate((c, a) for c in COLOURS for a in ANIMALS):
        doc_id, query_id = f"d{number}", f"q{number}"
        documents[doc_id] = f"here lives a {colour} {animal} " + "and more words " * (number % 5)
        queries[query_id] = f"{colour} {animal}"
        split = "test" if number % 5 == 0 else "dev" if number % 5 == 1 else "train"
        splits[split][query_id] = {doc_id: 1}
    return Collection(
        name="toy",
        documents=documents,
        queries=queries,
        split_queries={split: tuple(qrels) for split, qrels in splits.items()},
        split_qrels=splits,
        fingerprint="toy",
    )


@dataclass(frozen=True)
class Ranking(Retriever):
    """A first stage that says what it was told to say, and how often it was asked."""

    scores: Mapping[str, Mapping[str, float]]
    asked: list[int] = field(default_factory=list, compare=False)

    @property
    def candidates(self) -> str:
        return "told"

    def retrieve(self, collection: Collection, query_ids: Sequence[str], depth: int) -> Run:
        self.asked.append(depth)
        return Run.from_scores("told", self.scores).restrict(query_ids).cut(depth)


@pytest.fixture
def collection() -> Collection:
    return toy_collection()


@pytest.fixture
def beir_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "toy"
    write_beir(folder, toy_collection())
    return folder


def save_tiny(folder: Path, kind: str = "bert", labels: int = 1, **more: object) -> Path:
    """Save a random classifier like BERT with a word-level vocabulary."""
    import transformers

    words = sorted({w for t in toy_collection().documents.values() for w in t.split()})
    words += [chr(letter) for letter in range(97, 123)] + [f"##{chr(n)}" for n in range(97, 123)]
    words = list(dict.fromkeys(words))
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words]
    vocabulary += ["[unused0]", "[unused1]", "[unused10]", ".", ",", "true", "false"]
    vocabulary += list("0123456789")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.txt").write_text("\n".join(vocabulary), encoding="utf-8")
    tokenizer = transformers.BertTokenizerFast(
        str(folder / "vocab.txt"), do_lower_case=True, model_max_length=64
    )
    prefixes = {"bert": "Bert", "electra": "Electra", "roberta": "Roberta"}
    relatives = {"xlm-roberta": "XLMRoberta", "distilbert": "DistilBert", "mpnet": "MPNet"}
    prefix = {**prefixes, **relatives}[kind]
    own = {
        "electra": {"embedding_size": 16},
        "distilbert": {"dim": 32, "n_layers": 3, "n_heads": 4, "hidden_dim": 64},
    }.get(kind, {})
    config = getattr(transformers, f"{prefix}Config")(
        **{
            "vocab_size": len(vocabulary),
            "hidden_size": 32,
            "num_hidden_layers": 3,
            "num_attention_heads": 4,
            "intermediate_size": 64,
            "max_position_embeddings": 80,
            "type_vocab_size": 2,
            "pad_token_id": 0,
            "num_labels": labels,
            "initializer_range": 0.4,
            **own,
            **more,
        }
    )
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = getattr(transformers, f"{prefix}ForSequenceClassification")(config)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def save_tiny_t5(folder: Path, kind: str = "t5", **more: object) -> Path:
    """Save a random T5 with a vocabulary of whole words, the prompts' own among them."""
    import transformers

    words = sorted({w for t in toy_collection().documents.values() for w in t.split()})
    words += ["Query:", "Document:", "Document0:", "Document1:", "Document2:", "Document"]
    words += ["Relevant:", "Score:", "More", "relevant:", "true", "false", "yes", "no"]
    words += [str(digit) for digit in range(10)]
    letters = [chr(n) for n in range(33, 127)]
    pieces = list(dict.fromkeys(["▁", *(f"▁{word}" for word in words), *letters]))
    vocabulary = [(piece, 0.0) for piece in ("<pad>", "</s>", "<unk>")]
    vocabulary += [(piece, -1.0 if len(piece) > 1 else -9.0) for piece in pieces]
    vocabulary += [(f"<extra_id_{n}>", 0.0) for n in reversed(range(100))]
    tokenizer = transformers.T5Tokenizer(vocab=vocabulary, model_max_length=512)
    encoder_only = kind == "encoder"
    prefix = "MT5" if kind == "mt5" else "T5"
    config = getattr(transformers, f"{prefix}Config")(
        **{
            "vocab_size": len(vocabulary),
            "d_model": 32,
            "d_kv": 8,
            "d_ff": 64,
            "num_layers": 3,
            "num_decoder_layers": 2,
            "num_heads": 4,
            **more,
        }
    )
    config.decoder_start_token_id = 0
    config.num_labels = 1
    suffix = "TokenClassification" if encoder_only else "ConditionalGeneration"
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = getattr(transformers, f"{prefix}For{suffix}")(config)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def save_tiny_llama(
    folder: Path, head: bool = False, kind: str = "Llama", words: str = "", **more: object
) -> Path:
    """Save a random causal model with byte-level pieces that join blanks with words."""
    import tokenizers
    import transformers

    texts = [*toy_collection().documents.values(), "yes", "no", "yes no yes no", "query: document:"]
    texts += [words] * bool(words)
    texts += ["Yes", "Yes"]
    pieces = tokenizers.ByteLevelBPETokenizer()
    special = ["<pad>", "<s>", "</s>", "<|im_start|>", "<|im_end|>", "<think>", "</think>"]
    pieces.train_from_iterator(texts * 3, 400, 2, show_progress=False, special_tokens=special)
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=pieces._tokenizer,
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
        additional_special_tokens=special[3:],
        model_max_length=256,
    )
    config = getattr(transformers, f"{kind}Config")(
        **{
            "vocab_size": len(tokenizer),
            "hidden_size": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "intermediate_size": 64,
            "max_position_embeddings": 8192,
            "pad_token_id": tokenizer.pad_token_id,
            "bos_token_id": tokenizer.bos_token_id,
            "eos_token_id": tokenizer.eos_token_id,
            "initializer_range": 0.3,
            "num_labels": 1,
            **more,
        }
    )
    suffix = "SequenceClassification" if head else "CausalLM"
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = getattr(transformers, f"{kind}For{suffix}")(config)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_llama(tmp_path_factory.mktemp("checkpoints") / "llama")


@pytest.fixture(scope="session")
def tiny_t5(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_t5(tmp_path_factory.mktemp("checkpoints") / "t5")


@pytest.fixture(scope="session")
def tiny_bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("checkpoints") / "bert")


@pytest.fixture(scope="session")
def shared_t5_tokenizer() -> Path:
    folder = SHARED / "tokenizers" / "t5-small"
    if not folder.is_dir():
        pytest.skip(f"needs the real T5 vocabulary in {folder}, which is not part of the project")
    return folder


@pytest.fixture(scope="session")
def shared_collections() -> Path:
    folder = SHARED / "collections"
    if not folder.is_dir():
        pytest.skip(f"needs the real collections in {folder}, which are not part of the project")
    return folder


@pytest.fixture(scope="session")
def ir_datasets_home() -> Path:
    """The home of ir_datasets, with MS MARCO, TREC DL and SciFact in miniature."""
    from tests.miniature_ir_datasets import write_home

    home = Path(os.environ["IR_DATASETS_HOME"])
    write_home(home)
    return home
