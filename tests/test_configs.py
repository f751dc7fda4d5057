"""Every option of every group: it builds, and its keys are the arguments of what it feeds."""

from collections.abc import Mapping
from dataclasses import fields
from functools import cache
from itertools import product

import pytest
from hydra.utils import get_object
from omegaconf import OmegaConf

from recross.command.building import build
from recross.command.catalogue import find_config_folder, list_options, read_summary
from recross.command.checking import find_config_problems
from recross.command.composition import compose_config, resolve_config
from recross.command.overrides import quote_override
from recross.errors import ConfigError
from recross.parts.identity import is_handed_over
from recross.report.references import find_reference_file, read_values
from recross.report.tables.means import name_mean
from recross.rerankers.baselines import Oracle
from recross.retrieval.random_order import RandomOrder

GENERATED = "reranker.generator"
PLACES = {
    "dialect": "reranker.dialect",
    "generator": GENERATED,
    "strategy": "reranker.strategy",
}
"""Groups whose options are parts of a re-ranker."""
GROUPS = [g for g in list_options() if g not in ("experiment", "row", "trained")]
OPTIONS = [(group, name) for group in GROUPS for name in list_options()[group]]
MUST_BE_GIVEN = {
    ("collection", "files"): ["collection.folder=somewhere"],
    ("collection", "folds"): ["collection.source.folder=somewhere"],
    ("collection", "held_out"): ["collection.source.folder=somewhere"],
    ("collection", "trec_files"): [
        "collection.documents=d.tsv",
        "collection.queries=q.tsv",
        "collection.qrels={test: test.qrels}",
    ],
    ("collection", "ir_datasets"): ["collection.splits={test: beir/nfcorpus/test}"],
    ("retriever", "run_file"): ["retriever.path=run.trec"],
    ("retriever", "official"): ["collection=msmarco"],
    ("retriever", "late_interaction"): ["retriever.checkpoint=some/model"],
    ("training_data", "docpairs"): ["training_data.dataset=msmarco-passage/train/triples-small"],
    ("reranker", "cross_encoder"): ["reranker.checkpoint=some/model"],
    ("reranker", "monobert_duobert"): [
        "reranker.stages.mono.reranker.checkpoint=some/model",
        "reranker.stages.duo.reranker.checkpoint=some/model",
        "reranker.stages.duo.reranker.fresh_head=true",
    ],
    ("reranker", "causal_lm"): ["reranker.checkpoint=some/model"],
    ("reranker", "t5"): ["reranker.checkpoint=some/model", "reranker.contract=monot5"],
    ("reranker", "listwise_llm"): ["reranker.generator.checkpoint=some/model"],
    ("reranker", "thinking_llm"): ["reranker.generator.checkpoint=some/model"],
    ("reranker", "first_token_llm"): ["reranker.generator.checkpoint=some/model"],
    ("reranker", "setwise_llm"): ["reranker.generator.checkpoint=some/model"],
}
for file in ("triples", "text_triples", "scored_triples", "teacher_run", "jsonl"):
    MUST_BE_GIVEN["training_data", file] = ["training_data.path=some.file"]
ENDPOINT = [f"{GENERATED}.base_url=http://127.0.0.1:1/v1", f"{GENERATED}.model=some/model"]
for endpoint in ("listwise_endpoint", "rating_endpoint"):
    MUST_BE_GIVEN["reranker", endpoint] = ENDPOINT
MUST_BE_GIVEN["generator", "endpoint"] = ["reranker=listwise_llm", *ENDPOINT]
MUST_BE_GIVEN["generator", "local"] = [
    "reranker=rating_endpoint",
    f"{GENERATED}.checkpoint=some/model",
]
for strategy in list_options()["strategy"]:
    MUST_BE_GIVEN["strategy", strategy] = ["reranker=duot5_base"]
for strategy in ("heap_sort", "bubble_sort"):
    MUST_BE_GIVEN["strategy", strategy] = [
        "reranker=setwise_llm",
        f"{GENERATED}.checkpoint=some/model",
    ]
SERVED = ["reranker.base_url=http://127.0.0.1:1", "reranker.model=some/model"]
MUST_BE_GIVEN["reranker", "served"] = SERVED
for dialect in list_options()["dialect"]:
    MUST_BE_GIVEN["dialect", dialect] = ["reranker=served", *SERVED]
for taught in (
    *(
        "adr_mse",
        "distilled_ranknet",
        "kl",
        "labels_and_biencoder",
        "labels_and_teacher",
        "margin_mse",
        "mse",
    ),
):
    MUST_BE_GIVEN["loss", taught] = ["teacher=reranker"]
for teacher in ("biencoder", "embedded_l6", "reranker"):
    MUST_BE_GIVEN["teacher", teacher] = ["loss=mse"]


@cache
def composition(*overrides):
    """The config of a run; what was composed once is not composed again."""
    return compose_config("run", list(overrides))


def values(*overrides):
    return resolve_config(composition(*overrides))


def option(group, name):
    """The composition of an option, with what must be given with it."""
    where = f"{group}@{PLACES[group]}" if group in PLACES else group
    return composition(f"{where}={name}", *MUST_BE_GIVEN.get((group, name), []))


def part(node, group):
    """What a group's option made of a config, or of the experiment that was built of it."""
    is_config = isinstance(node, Mapping)
    places = PLACES | ({} if is_config else {"negatives": "training_data.negatives"})
    for step in places.get(group, group).split("."):
        node = node[step] if is_config else getattr(node, step)
    return node


def sweep(experiment):
    """What a study sweeps over, by key."""
    params = composition(f"experiment={experiment}").hydra.sweeper.get("params") or {}
    return {key: str(value).split(",") for key, value in params.items()}


def choices(file):
    """What a study or a row chooses in its defaults list, as the command line would."""
    for one in file.get("defaults", []):
        if isinstance(one, Mapping):
            for key, option in one.items():
                sign = "" if key.startswith("override ") else "+"
                yield f"{sign}{key.removeprefix('override ').removeprefix('/')}={option}"


def cells(experiment):
    """Every cell of a study, as data."""
    choices = [[f"{key}={one}" for one in found] for key, found in sweep(experiment).items()]
    for chosen in product(*choices):
        yield values(f"experiment={experiment}", *chosen)


@pytest.mark.parametrize("group, name", OPTIONS)
def test_every_option_builds(group, name):
    assert part(build(resolve_config(option(group, name))), group) is not None


def nodes(node):
    """A part and the parts below it that an override can reach, which no list is."""
    if isinstance(node, Mapping):
        if "_target_" in node:
            yield node
        for value in node.values():
            yield from nodes(value)


NO_ARGUMENTS_OF_A_USER = {"alias", "enabled"}  # what a run is called; what a recipe is, not how


@pytest.mark.parametrize("group, name", OPTIONS)
def test_an_option_states_every_argument_of_its_class_and_of_the_parts_below(group, name):
    found = OmegaConf.to_container(part(option(group, name), group))
    for node in nodes(found):
        declared = fields(get_object(node["_target_"]))
        arguments = {field.name for field in declared if field.init and not is_handed_over(field)}
        assert arguments - NO_ARGUMENTS_OF_A_USER <= node.keys() - {"_target_"} <= arguments


def leaves(node, path=""):
    """The values of a file or of a config, by their places."""
    for key, value in node.items():
        if isinstance(value, Mapping):
            yield from leaves(value, f"{path}{key}.")
        elif key != "defaults":
            yield f"{path}{key}", value


@pytest.mark.parametrize("group", GROUPS)
def test_a_difference_repeats_nothing_of_what_it_starts_from(group):
    for name in list_options()[group]:
        own = OmegaConf.to_container(OmegaConf.load(find_config_folder() / group / f"{name}.yaml"))
        starts = [one for one in own.get("defaults", []) if isinstance(one, str)]
        for start in set(starts) - {"_self_"}:
            kind = option(group, start) if group in PLACES else composition(f"{group}={start}")
            composed_start = part(kind, group)
            found = dict(leaves(OmegaConf.to_container(composed_start)))
            repeated = [key for key, value in leaves(own) if found.get(key, ...) == value]
            assert repeated == [], (name, start)


@pytest.mark.parametrize("group, name", [(g, n) for g in list_options() for n in list_options()[g]])
def test_every_option_says_what_it_is(group, name):
    assert len(read_summary(group, name)) > 10


@pytest.mark.parametrize("row", list_options()["row"])
def test_every_row_builds_and_has_a_label(row):
    assert build(values(f"row={row}", "training=smoke")).label


@pytest.mark.parametrize("experiment", list_options()["experiment"])
def test_a_study_states_only_its_difference_from_the_default_experiment(experiment):
    file = OmegaConf.load(find_config_folder() / "experiment" / f"{experiment}.yaml")
    starts = [f"experiment={one}" for one in file.get("defaults", []) if isinstance(one, str)]
    default = composition(*starts).hydra.runtime.choices
    for choice in choices(file):
        place, option = choice.split("=")
        assert default.get(place) != option, place
    found = dict(leaves(OmegaConf.to_container(composition(*starts, *choices(file)))))
    own = leaves(OmegaConf.to_container(file))
    assert [key for key, value in own if found.get(key, ...) == value] == []


@pytest.mark.parametrize("experiment", list_options()["experiment"])
def test_every_named_study_composes_into_cells_that_build(experiment):
    assert build(next(cells(experiment))).study == experiment


def test_a_trained_head_goes_on_as_slowly_as_the_rest_but_where_figures_were_made_otherwise():
    further = build(values("training=further")["training"])
    assert further.optimisation.head_learning_rate is None
    for experiment in ("scifact", "cranfield", "trec_dl"):
        assert next(cells(experiment))["training"]["head_learning_rate"] == 1e-3


STUDIES_OF_ROWS = [name for name in list_options()["experiment"] if "row" in sweep(name)]


@pytest.mark.parametrize("experiment", STUDIES_OF_ROWS)
def test_a_row_has_the_last_word_over_its_study(experiment):
    for row in sweep(experiment)["row"]:
        file = OmegaConf.load(find_config_folder() / "row" / f"{row}.yaml")
        found = composition(f"experiment={experiment}", f"row={row}")
        for choice in choices(file):
            place, option = choice.removeprefix("+").split("=")
            assert found.hydra.runtime.choices[place] == option, (row, place)
        written = OmegaConf.to_container(file)["label"]  # what it interpolates is the study's
        assert OmegaConf.to_container(found)["label"] == written


@pytest.mark.parametrize("experiment", STUDIES_OF_ROWS)
def test_every_row_of_a_study_has_a_folder_and_a_label_of_its_own(experiment):
    found = list(cells(experiment))
    assert len({cell["name"] for cell in found}) == len(found)
    assert len({cell["label"] for cell in found}) == len(found)


def mean_labels(experiment):
    """What a table calls the means over all collections that a study sweeps over."""
    swept = sweep(experiment)
    collections = swept.pop("collection", [])
    if len(collections) < 2:
        return
    for chosen in product(*([f"{key}={one}" for one in found] for key, found in swept.items())):
        words = [f"experiment={experiment}", *chosen]
        two = [values(*words, f"collection={name}")["label"] for name in collections[:2]]
        yield name_mean(two).replace("mean of 2", f"mean of {len(collections)}")


def test_shipped_references_are_of_shipped_studies():
    studies = list_options()["experiment"]
    shipped = [study for study in studies if find_reference_file(study).is_file()]
    assert "performance_table" in shipped
    for study in shipped:
        values = read_values([find_reference_file(study)])
        assert {one.study for one in values} <= set(studies)
        assert all(one.source for one in values)
        by_hand = [one for one in values if one.kind != "measured"]
        for own in {one.study for one in by_hand}:
            labels = {one.label for one in by_hand if one.study == own} - set(mean_labels(own))
            assert not labels or labels <= {cell["label"] for cell in cells(own)}


@pytest.mark.parametrize(
    "word, found",
    [
        ("a.b=outputs/x/seed=0/checkpoint", 'a.b="outputs/x/seed=0/checkpoint"'),
        ("a.b='outputs/seed=0'", "a.b='outputs/seed=0'"),
        ("a=x,y", "a=x,y"),
        ("name=fold${collection.fold}", "name=fold${collection.fold}"),
        ("a=1", "a=1"),
        ("--multirun", "--multirun"),
        ("+a={b: c=d}", "+a={b: c=d}"),
    ],
)
def test_a_path_with_an_equals_sign_needs_no_quotes(word, found):
    assert quote_override(word) == found
    cfg = composition("study=outputs/x/seed=0/checkpoint")
    assert cfg.study == "outputs/x/seed=0/checkpoint"


def test_all_problems_are_reported_at_once_with_key_rule_and_value():
    bad = values("negatives.depth=ten", "retriever.index=Tree", "seed=x", "+retriever.colour=red")
    with pytest.raises(ConfigError) as caught:
        build(bad)
    problems = sorted(caught.value.problems)
    assert len(problems) == 4
    assert problems[0].startswith("negatives.depth: must be a whole number, got")
    assert problems[0].endswith("got 'ten'")
    assert problems[1].startswith(
        "retriever.colour: unknown; recross.retrieval.biencoder.BiEncoder"
    )
    assert problems[2] == "retriever.index: must be a VectorIndex, got 'Tree'"
    assert problems[3].startswith("seed: must be a whole number, got")


def test_negatives_are_checked_where_a_file_brings_its_own():
    wrong = values("training_data=triples", "training_data.path=x", "negatives.depth=ten")
    with pytest.raises(ConfigError, match="^negatives.depth: must be a whole number, got 'ten'$"):
        build(wrong)


def test_rules_of_constructors_are_reported_with_their_group():
    with pytest.raises(ConfigError, match=r"negatives\.skip: must lie in \[0, depth=50\), got 60"):
        build(values("negatives.skip=60"))


@pytest.mark.parametrize(
    "target", ["os.system", "recrossing.Thing", "recross.nothing.Here", "recross.store.fingerprint"]
)
def test_targets_that_are_no_class_of_the_package_are_refused(target):
    with pytest.raises(ConfigError, match=r"retriever._target_: must name a class of recross"):
        build(values(f"retriever._target_={target}"))


def test_a_part_of_the_wrong_kind_is_refused():
    wrong = dict(values(), retriever={"_target_": "recross.training.losses.listwise.Listwise"})
    assert any(
        "retriever: must be a Retriever" in problem for problem in find_config_problems(wrong)
    )
    wrong = dict(values(), retriever="bm25")
    assert any(
        "retriever: must be a Retriever" in problem for problem in find_config_problems(wrong)
    )
    wrong = dict(values(), loss={"_target_": "recross.retrieval.bm25.BM25"})
    assert any(problem.startswith("loss: must be") for problem in find_config_problems(wrong))


def test_missing_values_are_all_named():
    with pytest.raises(ConfigError) as caught:
        values("collection=files", "retriever=run_file")
    assert caught.value.problems == [
        "collection.folder: must be given, got nothing",
        "retriever.path: must be given, got nothing",
    ]


def test_an_unknown_option_of_a_few_lists_them():
    with pytest.raises(ConfigError, match=r"hardware: must be one of .*cpu_int8.*gpu.* got 'tpu'"):
        values("hardware=tpu")


@pytest.mark.parametrize(
    "word, close", [("retriever=bm52", "bm25?"), ("reranker=setwise", "setwise_llm")]
)
def test_an_unknown_option_of_many_names_the_closest(word, close):
    with pytest.raises(ConfigError) as caught:
        values(word)
    (line,) = str(caught.value).splitlines()
    assert close in line.partition("did you mean ")[2]


def test_an_unknown_key_is_refused():
    with pytest.raises(ConfigError, match=r"retriever\.k9: unknown; retriever takes k1, b, "):
        values("retriever=bm25", "retriever.k9=1")


def test_names_say_what_was_chosen():
    assert values()["name"] == "biencoder.embedded_l2"
    chosen = values("retriever=bm25", "negatives=random", "training.steps=8", "seed=3")
    assert chosen["name"] == "bm25.embedded_l2.negatives=random.steps=8"


STAGES = "reranker.stages"


def stages(**given):
    """A cascade as data."""
    nodes = {
        name: {
            "_target_": "recross.rerankers.composed.cascade.Stage",
            "reranker": {"_target_": "recross.rerankers.baselines.Oracle"},
            "depth": 9,
            **changes,
        }
        for name, changes in given.items()
    }
    return {"_target_": "recross.rerankers.composed.cascade.Cascade", "stages": nodes}


def test_a_mapping_of_parts_is_built_in_its_order():
    built = build(stages(zebra={"depth": 7}, ant={"depth": 3}))
    assert {name: stage.depth for name, stage in built.stages.items()} == {"zebra": 7, "ant": 3}
    assert list(built.stages) == ["zebra", "ant"]
    assert isinstance(built.stages["ant"].reranker, Oracle)


def test_problems_inside_a_mapping_of_parts_are_reported_with_their_path():
    passages = {
        "_target_": "recross.rerankers.composed.passages.LongDocuments",
        "reranker": {"_target_": "recross.rerankers.baselines.Oracle", "colour": "red"},
        "pooling": "median",
    }
    wrong = stages(
        deep={"depth": "many", "reranker": passages},
        short={"_target_": "recross.machine.hardware.Hardware"},
    )
    problems = list(find_config_problems(dict(values(), reranker=wrong)))
    starts = [
        f"{STAGES}.deep.reranker.reranker.colour: unknown; recross.rerankers.baselines.Oracle",
        f"{STAGES}.deep.reranker.pooling: must be max, first or mean_top",
        f"{STAGES}.deep.depth: must be a whole number",
        f"{STAGES}.short: must be a Stage, got 'recross.machine.hardware.Hardware'",
    ]
    assert all(any(problem.startswith(start) for problem in problems) for start in starts)
    assert all(problem.startswith((f"{STAGES}.deep", f"{STAGES}.short")) for problem in problems)


@pytest.mark.parametrize(
    "given, problem",
    [
        ({"mono": 20}, "stages.mono: must be a Stage, got 20"),
        ({"mono": {"depth": 20}}, "stages.mono: must be a Stage, got {'depth': 20}"),
        (20, "stages: must be collections.abc.Mapping"),
        (None, "stages: must be collections.abc.Mapping"),
        ({}, "stages must hold at least one stage, got none"),
    ],
)
def test_what_is_no_mapping_of_parts_is_refused(given, problem):
    with pytest.raises(ConfigError, match=problem):
        build(dict(stages(), stages=given))


def test_rules_of_a_nested_constructor_are_reported_with_its_path():
    with pytest.raises(ConfigError, match=r"^stages\.mono\.depth: must be at least 1, got 0$"):
        build(stages(mono={"depth": 0}))
    with pytest.raises(ConfigError, match=r"^reranker: depths must not grow .* fast=5, accurate=2"):
        build(values("reranker=minilm_cascade", f"{STAGES}.fast.depth=5"))


def test_a_member_of_the_fusion_is_overridden_or_exchanged_by_its_name():
    member = "retriever.retrievers"
    changes = [f"{member}.bm25.k1=1.2", f"{member}.biencoder.max_length=64"]
    fused = build(values("retriever=hybrid", *changes)).retriever.retrievers
    assert (fused["bm25"].k1, fused["bm25"].b, fused["biencoder"].max_length) == (1.2, 0.4, 64)
    exchanged = values("retriever=hybrid", f"retriever@{member}.bm25=random")
    assert build(exchanged).retriever.retrievers["bm25"] == RandomOrder()


def test_stages_and_their_re_rankers_are_overrides_that_the_name_tells():
    chosen = values(
        *("reranker=minilm_cascade", "reranker@reranker.stages.fast.reranker=tinybert_l2"),
        *("+reranker@reranker.stages.last.reranker=oracle", f"{STAGES}.accurate.depth=10"),
        f"+{STAGES}.last={{_target_: recross.rerankers.composed.cascade.Stage, depth: 3}}",
    )
    cascade = build(chosen).reranker
    assert cascade.order == ("fast", "accurate", "last")
    assert [stage.depth for stage in cascade.stages.values()] == [100, 10, 3]
    assert cascade.stages["fast"].reranker.checkpoint.endswith("TinyBERT-L2-v2")
    assert isinstance(cascade.stages["last"].reranker, Oracle)
    assert "minilm_cascade" in chosen["name"]
    assert "reranker.stages.last=oracle" in chosen["name"]
    inner = values("reranker=maxp", "reranker@reranker.reranker=oracle")
    assert inner["name"] == "biencoder.maxp.reranker=oracle"
