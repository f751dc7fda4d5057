"""Odd values in configs: numbers, lists, paths and names that no argument may be."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

from recross.command.building import build
from recross.command.cells import check_cells
from recross.command.composition import compose_values
from tests.odd_inputs.odd_input import OddInput, refused

PLACE = "outputs/scratch/bm25.none.training=none/seed=0/result.json"
SERVED = ("reranker=served", "reranker.base_url=http://host/v1", "reranker.model=m")
INF, NAN = float("inf"), float("nan")
LEXICAL = ("retriever=bm25", "reranker=none", "training=none")
PLANS = {
    "run": LEXICAL,
    "train": ("retriever=bm25", "reranker=embedded_l2"),
    "retrieve": ("retriever=bm25",),
    "rerank": ("reranker=oracle", "candidates=found.trec"),
}


@cache
def _compose(command: str, words: tuple[str, ...]) -> dict[str, Any]:
    return compose_values(command, words)


def _put(values: dict[str, Any], path: str, value: object) -> None:
    *way, last = path.split(".")
    for step in way:
        values = values[step]
    values[last] = value


def make(changes: Mapping[str, object], command: str = "run", *words: str) -> Any:
    """Build a command whose composed values are changed, as a YAML file may say."""
    values = deepcopy(_compose(command, (*PLANS[command], *words)))
    for path, value in changes.items():
        _put(values, path, value)
    return build(values)


def value(path: str, value: object, command: str = "run", *words: str):
    """What the built command holds where its config held this."""

    def act(_folder: Path) -> object:
        found = make({path: value}, command, *words)
        for step in path.split("."):
            found = getattr(found, step)
        return found

    return act


def place(command: str = "run", **changes: object):
    """Where a command with these values would write."""

    def act(_folder: Path) -> str:
        return str(make(changes, command).place.result)

    return act


def words(command: str, *given: str, sweep: bool = False):
    """Where the first cell would write that these words of a command line ask for."""

    def act(_folder: Path) -> str:
        cells, *_ = check_cells(command, [*PLANS[command], *given], sweep, None)
        return str(cells[0].place.result)

    return act


WHOLE = "must be a whole number"
FINITE = "must be a finite number"
TRAINED = ("train", "training=quick")


NUMBERS = [
    ("depth", True, (f"depth: {WHOLE}, got True",)),
    ("depth", False, (f"depth: {WHOLE}, got False",)),
    ("depth", "ten", (f"depth: {WHOLE}, got 'ten'",)),
    ("depth", "10", (f"depth: {WHOLE}, got '10'",)),
    ("depth", "", (f"depth: {WHOLE}, got ''",)),
    ("depth", 0, ("depth: must be at least 1, got 0",)),
    ("depth", -5, ("depth: must be at least 1, got -5",)),
    ("depth", 1.5, (f"depth: {WHOLE}, got 1.5",)),
    ("depth", INF, ("depth: must be a finite number, got inf",)),
    ("depth", NAN, ("depth: must be a finite number, got nan",)),
    ("depth", None, (f"depth: {WHOLE}, got None",)),
    ("depth", [10], (f"depth: {WHOLE}, got [10]",)),
    ("depth", {"best": 10}, (f"depth: {WHOLE}, got {{'best': 10}}",)),
    ("depth", 10**30, ("depth: must be a whole number of at most 9007199254740991",)),
    ("depth", 2**53, ("depth", "9007199254740992")),
    ("seed", -1, ("seed: must lie in [0, 4294967295], got -1",)),
    ("seed", 2**32, ("seed: must lie in [0, 4294967295], got 4294967296",)),
    ("seed", 2**40, ("seed: must lie in [0, 4294967295]", "1099511627776")),
    ("seed", 10**400, ("seed: must be a whole number of at most", "...")),
    ("seed", None, (f"seed: {WHOLE}, got None",)),
    ("seed", True, (f"seed: {WHOLE}, got True",)),
    ("seed", "lucky", (f"seed: {WHOLE}, got 'lucky'",)),
    ("latency_queries", -1, ("latency_queries: must not be negative, got -1",)),
    ("latency_queries", NAN, ("latency_queries: must be a finite number, got nan",)),
    ("interpolate", "perhaps", ("interpolate: must be true or false, got 'perhaps'",)),
    ("interpolate", 2, ("interpolate: must be true or false, got 2",)),
    ("leaks", "ignore", ("leaks: must be leave_out or refuse, got 'ignore'",)),
    ("retriever.k1", INF, ("retriever.k1", FINITE, "inf")),
    ("retriever.k1", -INF, ("retriever.k1", FINITE, "-inf")),
    ("retriever.k1", NAN, ("retriever.k1", FINITE, "nan")),
    ("retriever.k1", -0.1, ("retriever.k1: must not be negative, got -0.1",)),
    ("retriever.k1", True, ("retriever.k1: must be a number, got True",)),
    ("retriever.k1", "0.9", ("retriever.k1: must be a number, got '0.9'",)),
    ("retriever.b", 1.01, ("retriever.b: must lie in [0, 1], got 1.01",)),
    ("retriever.b", -0.01, ("retriever.b: must lie in [0, 1], got -0.01",)),
    ("retriever.b", None, ("retriever.b: must be a number, got None",)),
    ("collection.size", 0, ("collection.size: must be at least 10, got 0",)),
    ("collection.test_share", 1.0, ("collection.test_share: must lie in [0, 1), got 1.0",)),
    ("collection.dev_share", NAN, ("collection.dev_share", FINITE)),
    ("hardware.threads", 0, ("hardware.threads: must lie in [1, 1024], got 0",)),
    ("hardware.threads", 10**9, ("hardware.threads: must lie in [1, 1024]", "1000000000")),
    ("hardware.devices", 0, ("hardware.devices: must lie in [1, 1024], got 0",)),
    ("hardware.devices", 10**6, ("hardware.devices: must lie in [1, 1024]",)),
    ("hardware.tokens_per_batch", 0, ("hardware.tokens_per_batch: must be at least 1, got 0",)),
    ("hardware.tokens_per_batch", "many", ("hardware.tokens_per_batch", "auto", "'many'")),
    ("hardware.precision", "fp8", ("hardware.precision", "fp32, bf16, fp16 or fastest")),
    ("hardware.accelerator", "tpu", ("hardware.accelerator: must be cpu or gpu, got 'tpu'",)),
    ("quality_gate.least_tau", 1.1, ("quality_gate.least_tau: must lie in [-1, 1], got 1.1",)),
    ("quality_gate.queries", 0, ("quality_gate.queries: must be at least 1, got 0",)),
    ("cache.max_bytes", 5, ("cache.max_bytes: must lie in [1048576, 4398046511104], got 5",)),
    ("cache.max_bytes", 2**50, ("cache.max_bytes: must lie in [1048576, 4398046511104]",)),
]
"""Numbers that are none, or lie out of their bounds."""


NUMBERS_OF_TRAINING = [
    ("batch_size", 0, ("must lie in [1, 65536], got 0",)),
    ("batch_size", 1_000_000, ("must lie in [1, 65536], got 1000000",)),
    ("batch_size", -1, ("must lie in [1, 65536], got -1",)),
    ("batch_size", True, (WHOLE, "True")),
    ("negatives_per_positive", 0, ("must lie in [1, 65536], got 0",)),
    ("negatives_per_positive", 10**9, ("must lie in [1, 65536], got 1000000000",)),
    ("steps", 0, ("must be at least 1, got 0",)),
    ("steps", 10**15, ("steps must read at most 1,000,000,000 groups",)),
    ("validations", 0, ("must be at least 1, got 0",)),
    ("learning_rate", INF, (FINITE, "inf")),
    ("learning_rate", NAN, (FINITE, "nan")),
    ("learning_rate", 0, ("must be positive, got 0",)),
    ("learning_rate", -1e-5, ("must be positive, got -1e-05",)),
    ("learning_rate", "1e-5x", ("must be a number, got '1e-5x'",)),
    ("head_learning_rate", 0.0, ("must be positive, got 0.0",)),
    ("weight_decay", -1, ("must not be negative, got -1",)),
    ("weight_decay", NAN, (FINITE, "nan")),
    ("max_grad_norm", 0, ("must be positive, got 0",)),
    ("max_grad_norm", INF, (FINITE, "inf")),
    ("warmup_share", 1.0, ("must lie in [0, 1), got 1.0",)),
    ("easy_share", -0.1, ("must lie in [0, 1), got -0.1",)),
    ("frozen_share", 1.5, ("must lie in [0, 1], got 1.5",)),
    ("dropout", 1.0, ("must lie in [0, 1), got 1.0",)),
    ("validation_queries", 0, ("must be at least 1, got 0",)),
    ("validation_depth", 0, ("must be at least 1, got 0",)),
    ("save_seconds", NAN, (FINITE, "nan")),
    ("save_seconds", INF, (FINITE, "inf")),
    ("save_seconds", -1, ("must not be negative, got -1",)),
    ("layer_decay", 0, ("must lie in (0, 1], got 0",)),
    ("averaging", 1.0, ("must lie in (0, 1), got 1.0",)),
    ("patience", 0, ("must be at least 1, got 0",)),
    ("lora_rank", 0, ("must lie in [1, 65536], got 0",)),
    ("first_stage_weight", INF, (FINITE, "inf")),
    ("precision", "fp16", ("must be fp32, bf16 or null, got 'fp16'",)),
    ("gradient_checkpointing", "maybe", ("must be true or false, got 'maybe'",)),
]


A_NAME = "must be a name"
NAMES = [
    ("", f"{A_NAME} not empty"),
    (".", f"{A_NAME} other than . and .."),
    ("..", f"{A_NAME} other than . and .."),
    ("../../x", f"{A_NAME} without /"),
    ("../../../precious", f"{A_NAME} without /"),
    ("/abs", f"{A_NAME} without /"),
    ("a/b", f"{A_NAME} without /"),
    ("a/", f"{A_NAME} without /"),
    ("-rf", f"{A_NAME} that does not begin with -"),
    (" lead", f"{A_NAME} without blanks at its ends"),
    ("trail ", f"{A_NAME} without blanks at its ends"),
    ("\u3000", f"{A_NAME} without blanks at its ends"),
    ("two\nlines", f"{A_NAME} without control characters"),
    ("tab\tbed", f"{A_NAME} without control characters"),
    ("bell\a", f"{A_NAME} without control characters"),
    ("\x1b[31mred", f"{A_NAME} without control characters"),
    ("next\x85line", f"{A_NAME} without control characters"),
    ("x" * 300, f"{A_NAME} of at most 200 bytes"),
    ("é" * 150, f"{A_NAME} of at most 200 bytes"),
    ("nul\0", "must be text that a file can hold"),
    ("half\ud83d", "must be text that a file can hold"),
]
"""Names of folders that would lead elsewhere, or that no file system takes."""


LISTS = [
    ("measures", [], ("measures: must name at least one measure, got none",)),
    ("measures", "MRR@10", ("measures: must be a list of text, got 'MRR@10'",)),
    ("measures", None, ("measures: must be a list of text, got None",)),
    ("measures", [10], ("measures[0]: must be a string, got 10",)),
    ("measures", ["MRR@10", None], ("measures[1]", "None")),
    ("collection.packages", [], ("collection.packages: must name at least one package, got none",)),
    ("retriever", [], ("retriever: must be a Retriever, got []",)),
    ("retriever", None, ("retriever: must be a Retriever, got None",)),
    ("reranker", "minilm", ("reranker: must be a Reranker, got 'minilm'",)),
    ("collection", {}, ("collection: must be a CollectionSource, got {}",)),
    ("output", "", ("output: must be a path, not empty, got ''",)),
    ("output", None, ("output: must be a path, got None",)),
    ("output", "a\0b", ("output: must be text that a file can hold",)),
    ("store", "", ("store: must be a path, not empty, got ''",)),
    ("store", 5, ("store: must be a path, got 5",)),
    ("label", "two\nlines", ("label: must be one line of text, got 'two\\nlines'",)),
    ("curve", "a\u2028b", ("curve: must be one line of text",)),
    ("label", 5, ("label: must be text or null, got 5",)),
]


RUN_FILES = [
    ("../../x.trec", "run_file: must be a name other than . and .., got '../../x.trec'"),
    ("sub/../../x.trec", "run_file: must be a name other than . and .."),
    ("/tmp/x.trec", "run_file: must be a path within output (output=FOLDER chooses that)"),
    (".", "run_file: must name a file, got '.'"),
    ("..", "run_file: must be a name other than . and .., got '..'"),
    ("", "run_file: must be a path, not empty, got ''"),
    ("x.yaml", "run_file: must not end in .yaml, as the record beside it does"),
    ("x.failed.json", "run_file: must not end in .json"),
    ("-x.trec", "run_file: must be a name that does not begin with -"),
    ("sub /x.trec", "run_file: must be a name without blanks at its ends"),
    ("x" * 300, "run_file: must be a name of at most 200 bytes"),
    ("a\nb.trec", "run_file: must be a name without control characters"),
]

UNMEASURED = [
    ("RBP(p=0.8)", "no installed package computes it"),
    ("alpha_nDCG@10", "no installed package computes it"),
    ("ERR_IA@10", "no installed package computes it"),
    ("P_IA@10", "no installed package computes it"),
    ("BPM", "cutoff"),
    ("INST", "max_rel"),
    ("P@0", "cutoff must lie in [1, 10000000], got 0"),
    ("nDCG@0", "cutoff must lie in [1, 10000000], got 0"),
    ("Judged@0", "cutoff must lie in [1, 10000000], got 0"),
    ("Accuracy@0", "cutoff must lie in [1, 10000000], got 0"),
    ("R@99999999999", "cutoff must lie in [1, 10000000], got 99999999999"),
    ("nDCG@-1", "got 'nDCG@-1'"),
    ("nDCG@1.5", "cutoff must be a whole number, got 1.5"),
    ("nDCG@True", "cutoff must"),
    ("P@'x'", "cutoff must be a whole number, got 'x'"),
    ("nDCG@", "got 'nDCG@'"),
    ("nDCG@10@5", "got 'nDCG@10@5'"),
    ("@10", "got '@10'"),
    ("", "got ''"),
    ("MRR10", "got 'MRR10'"),
    ("mrr@10", "got 'mrr@10'"),
    ("recip_rank_10", "got 'recip_rank_10'"),
    ("RR(foo=1)@10", "foo"),
    ("RR(rel=0)@10", "rel must lie in [1, 10000000], got 0"),
    ("AP(rel=-1)", "got 'AP(rel=-1)'"),
    ("P(rel='x')@5", "rel must be a whole number, got 'x'"),
    ("Compat(p=1.5)", "p must lie in (0, 1), got 1.5"),
    ("Compat(p=0)", "p must lie in (0, 1), got 0"),
    ("SetF(beta=0)", "beta"),
    ("IPrec@2", "recall"),
    ("nDCG(dcg='exp')@10", "dcg"),
    ("__import__('os').system('true')", "got"),
    ("nDCG@10 + P@5", "got 'nDCG@10 + P@5'"),
    ("ndcg_cut", "trec_eval's name of 9 measures; one is ndcg_cut_10"),
]
"""Measures that nobody can compute, and why."""

HYDRA = [
    ("+hydra.callbacks.x._target_=shutil.copy", "hydra.callbacks: must be empty"),
    ("hydra.launcher._target_=os.system", "hydra.launcher._target_: must be one of BasicLauncher"),
    ("hydra.sweeper._target_=os.system", "hydra.sweeper._target_: must be one of BasicSweeper"),
    ("+hydra.launcher.x._target_=os.system", "hydra.launcher.x._target_: must not be given"),
    ("+hydra.job_logging.handlers={x: {class: os.system}}", "job_logging.handlers.x.class"),
    ("+hydra.job_logging.formatters={x: {factory: os.x}}", "job_logging.formatters.x.factory"),
    ("+hydra.job_logging.formatters={x: {format: ext://os.sep}}", "ext://os.sep"),
    ("+hydra.hydra_logging.handlers={x: {class: a.b}}", "hydra.hydra_logging.handlers.x.class"),
    ("hydra/job_logging=default", "job_logging.handlers.file.class"),
    ("hydra.run.dir=/etc/x", "hydra.run.dir: must lie within output=outputs, got '/etc/x'"),
    ("hydra.sweep.dir=../x", "hydra.sweep.dir: must lie within output=outputs, got '../x'"),
    ("hydra.sweep.subdir=../../x", "hydra.sweep.subdir: must lie within output=outputs"),
    ("hydra.job.chdir=true", "hydra.job.chdir: must be false"),
    ("hydra.output_subdir=.hydra", "hydra.output_subdir: must be null"),
    ("+hydra.job.env_set.LD_PRELOAD=x.so", "hydra.job.env_set: must not set LD_PRELOAD"),
    ("+hydra.job.env_set.PYTHONPATH=x", "hydra.job.env_set: must not set PYTHONPATH"),
    ("+hydra.job.env_set.HF_TOKEN=abc", "hydra.job.env_set.HF_TOKEN: must hold no secret"),
    ("hydra/launcher=mine", "mine"),
]
"""What may not be said to Hydra."""

KEY = "sk-proj-AbCdEfGhIjKlMnOpQrStUv0123456789"
SECRETS = [
    ("study", KEY),
    ("label", f"by {KEY}"),
    ("collection.packages", ["numpy", KEY]),
    ("retriever.stopwords", "hf_AbCdEfGhIjKlMnOpQrStUvWxYzAbCdEfGh"),
    ("retriever.k1", KEY),
    ("output", "s3://me:hunter2@host/x"),
    ("output", "https://host/x?token=AbCdEf"),
    ("tracking", {"_target_": "recross.tracking.tracker.JsonLinesTracker", "api_key": "abc"}),
    ("unknown", KEY),
    ("unknown", {"headers": {"Authorization": "abc"}}),
    ("unknown", {KEY: 1}),
]
"""Values that no record may keep."""


def _short(value: object) -> str:
    return ascii(value)[:24]


ODD_INPUTS = [
    *(
        OddInput(f"config: {path}={_short(odd)}", value(path, odd), refused(*says))
        for path, odd, says in (*NUMBERS, *LISTS)
    ),
    *(
        OddInput(
            f"config: training.{name}={_short(odd)}",
            value(f"training.{name}", odd, *TRAINED),
            refused(name, *says),
        )
        for name, odd, says in NUMBERS_OF_TRAINING
    ),
    *(
        OddInput(f"config: {key}={_short(odd)}", place(**{key: odd}), refused(key, says))
        for key in ("study", "name")
        for odd, says in NAMES
    ),
    *(
        OddInput(f"config: run_file={_short(odd)}", place("retrieve", run_file=odd), refused(says))
        for odd, says in RUN_FILES
    ),
    *(
        OddInput(
            f"measure: {name}",
            value("measures", ["MRR@10", name]),
            refused("measures: must be names such as 'MRR@10'", why),
        )
        for name, why in UNMEASURED
    ),
    *(
        OddInput(f"measure: {name}", value("measures", [name]), (name,))
        for name in ("nDCG(cutoff=10)", "RR(rel=2)@10", "Compat(p=0.9)", "ERR@20", "P@10000000")
    ),
    OddInput(
        "measure: twice",
        value("measures", ["MRR@10", "nDCG@10", "MRR@10"]),
        refused("measures: must name each measure once, got 'MRR@10' twice"),
    ),
    OddInput(
        "measure: of validation",
        value("training.measure", "RBP(p=0.8)", *TRAINED),
        refused("training: measure must be names such as", "no installed package computes it"),
    ),
    *(
        OddInput(f"hydra: {word}", words("run", word), refused("hydra", says))
        for word, says in HYDRA
    ),
    *(
        OddInput(
            f"secret: {number} at {path}", value(path, odd), refused(path, "must hold no secret")
        )
        for number, (path, odd) in enumerate(SECRETS)
    ),
    OddInput(
        "secret: for a variable's name",
        value("reranker.api_key_variable", "my key", "rerank", *SERVED),
        refused("reranker.api_key_variable: must name a variable of the environment"),
    ),
    OddInput(
        "no secret: a commit as an experiment's name",
        place(name="0123456789abcdef0123456789abcdef01234567"),
        "outputs/scratch/0123456789abcdef0123456789abcdef01234567/seed=0/result.json",
    ),
    OddInput(
        "no secret: tokens, and keys to sort by",
        value(
            "reranker.extra_body",
            {"max_tokens_per_doc": 5, "sort_key": "score", "tokenizer": "x", "eos_token": "<s>"},
            "rerank",
            *SERVED,
        ),
        {"max_tokens_per_doc": 5, "sort_key": "score", "tokenizer": "x", "eos_token": "<s>"},
    ),
    OddInput("words: stderr of Hydra", words("run", "hydra/job_logging=stdout"), PLACE),
    OddInput("words: threads of jobs", words("run", "+hydra.job.env_set.OMP_NUM_THREADS=2"), PLACE),
    OddInput(
        "words: name=läufe",
        words("run", "name=läufe"),
        PLACE.replace("bm25.none.training=none", "läufe"),
    ),
    OddInput("words: blanks", words("retrieve", "run_file=a b (2).trec"), "outputs/a b (2).trec"),
    OddInput("words: umlauts", words("retrieve", "run_file=ü/日本.trec"), "outputs/ü/日本.trec"),
    OddInput(
        "words: twice",
        words("run", "name=a", "name=b", "seed=1", "seed=7"),
        "outputs/scratch/b/seed=7/result.json",
    ),
    OddInput(
        "words: group null",
        words("run", "collection=null"),
        refused("collection: must be an option"),
    ),
    OddInput("words: group of no name", words("run", "=5"), refused("override must be", "'=5'")),
    OddInput("words: no value", words("run", "depth"), refused("override must be", "'depth'")),
    OddInput(
        "words: open list", words("run", "measures=["), refused("override must be", "measures=[")
    ),
    OddInput("words: unknown option", words("run", "reranker=nobody"), refused("nobody")),
    OddInput("words: unknown key", words("run", "nothing=1"), refused("nothing")),
    OddInput(
        "words: appended unknown key", words("run", "+nothing=1"), refused("nothing: unknown")
    ),
    OddInput("words: group appended", words("run", "+retriever=splade"), refused("retriever")),
    OddInput(
        "words: stop words of nobody",
        words("retrieve", "retriever.stopwords=klingon"),
        refused("stopwords must be a language", "'klingon'"),
    ),
    OddInput(
        "words: stemmer of nobody",
        words("retrieve", "retriever.stemmer=klingon"),
        refused("stemmer must be one of", "'klingon'"),
    ),
    OddInput(
        "words: a secret of the environment",
        words("run", "study=${oc.env:OPENAI_API_KEY}"),
        refused("study", "oc.env must not read a secret"),
    ),
    OddInput(
        "words: no such variable",
        words("run", "study=${oc.env:RECROSS_NOT_THERE}"),
        refused("study", "oc.env must name a variable of the environment, got RECROSS_NOT_THERE"),
    ),
    OddInput("words: a sweep of nothing", words("run", "depth=[]", sweep=True), refused("depth")),
    OddInput(
        "words: cells in one place",
        words("run", "tracking=json_lines", "store=a,b", sweep=True),
        refused("cells of a sweep must differ in what they write"),
    ),
    OddInput("config: depth of everything", value("depth", 2**53 - 1), 2**53 - 1),
    OddInput("config: largest seed", value("seed", 2**32 - 1), 2**32 - 1),
    OddInput("config: whole number as a float", value("depth", 100.0), 100),
    OddInput("config: k1=0", value("retriever.k1", 0), 0.0),
    OddInput("config: validates all", value("training.validation_queries", None, *TRAINED), None),
    OddInput(
        "config: study=läufe",
        place(study="läufe", name="a b"),
        "outputs/läufe/a b/seed=0/result.json",
    ),
    OddInput(
        "config: study=..x", place(study="..x", name="x.."), "outputs/..x/x../seed=0/result.json"
    ),
    OddInput("config: name=日本", place(name="日本"), "outputs/scratch/日本/seed=0/result.json"),
    OddInput(
        "config: study=store", place(study="store"), refused("must not be a folder of the store")
    ),
    OddInput(
        "config: store in the experiment's folder",
        place(study="s", name="n", store="outputs/s/n/seed=0/checkpoint"),
        refused("study and name must not be a folder of the store"),
    ),
    OddInput(
        "config: store beside experiments",
        place(study="s", name="n", store="outputs/s/kept"),
        "outputs/s/n/seed=0/result.json",
    ),
    OddInput(
        "config: output is a file",
        place(output=__file__),
        refused("output must be a folder", __file__),
    ),
    OddInput(
        "config: store below a file",
        place(store=f"{__file__}/store"),
        refused("store must be a folder", __file__),
    ),
    OddInput(
        "config: run_file=sub/x.trec",
        place("retrieve", run_file="sub/x.trec"),
        "outputs/sub/x.trec",
    ),
    OddInput("config: run_file=läufe", place("retrieve", run_file="läufe"), "outputs/läufe"),
    OddInput(
        "config: run_file is a folder",
        place("retrieve", output=str(Path(__file__).parents[1]), run_file="odd_inputs"),
        refused("run_file must be a file, got the folder"),
    ),
    OddInput(
        "config: run_file is candidates",
        place("rerank", candidates="outputs/a.trec", run_file="a.trec"),
        refused("run_file must not be candidates, which it would replace, got 'a.trec'"),
    ),
]
