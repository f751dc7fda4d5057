"""Strategies: what is mined, what is dropped and why, and what is drawn."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recross.collections.collection import Collection
from recross.errors import InputError
from recross.negatives.composed import Blend, Curriculum, Mixed, Part, apportion
from recross.negatives.copies import Copies, fold_text
from recross.negatives.filters import Denoising, Margin
from recross.negatives.mining import Sieve, find_known_positives
from recross.negatives.pool import POOL
from recross.negatives.ranked import FromPool, RankWindow, choose_best_ranked, choose_uniformly
from recross.negatives.sampler import TrainingStage
from recross.parts.identity import fingerprint
from recross.rerankers.baselines import Oracle
from recross.rerankers.reranker import Reranker
from recross.retrieval.random_order import RandomOrder
from recross.runs import Run
from recross.seeding import make_generator
from recross.store import Store, read_manifest
from tests.conftest import Ranking

SOURCE = RandomOrder()


def asked(documents, relevant):
    """A collection whose training queries have these relevant documents."""
    return Collection(
        name="asked",
        documents=documents,
        queries={query_id: f"query {query_id}" for query_id in relevant},
        split_queries={"train": tuple(relevant)},
        split_qrels={"train": {q: dict.fromkeys(own, 1) for q, own in relevant.items()}},
        fingerprint=fingerprint(documents, relevant),
    )


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


def rng(seed=0):
    return make_generator(seed, "negatives", "q p")


@dataclass(frozen=True)
class Teacher(Reranker):
    """Scores as it was told to, and remembers what it was asked."""

    scores: Mapping[str, float]
    asked: list[Mapping[str, list[str]]] = field(default_factory=list, compare=False)

    def rerank(self, candidates, collection):
        self.asked.append({q: candidates.doc_ids(q) for q in candidates.rankings})
        rankings = candidates.rankings.items()
        return Run.from_scores(
            "teacher", {q: {d: self.scores[d] for d, _ in r} for q, r in rankings}
        )


# Every score and margin here is exact in single precision.
FIVE = {"p": 1.0, "a": 1.25, "b": 0.875, "c": 0.75, "d": 0.5, "e": 0.25}
TEXTS = {doc_id: f"text of {doc_id}" for doc_id in FIVE}


def mined(sampler, store, relevant=("p",), texts=TEXTS):
    return sampler.mine(asked(texts, {"q": relevant}), "train", store)


def pool(filters, store, **more):
    sampler = RankWindow(Ranking({"q": FIVE}), depth=10, filters=filters)
    return mined(sampler, store, **more).pool


@given(
    st.data(),
    st.integers(0, 12),
    st.integers(1, 30),
    st.sets(st.integers(0, 39), min_size=1, max_size=6),
    st.integers(1, 40),
)
def test_a_draw_is_distinct_from_the_window_and_never_relevant_or_a_copy(
    data, skip, width, relevant, size
):
    text = st.sampled_from(["same  text", "Same text", "other text", "a text", "A TEXT "])
    documents = {f"d{n}": f"{data.draw(text)}" if n % 3 else f"text {n}" for n in range(40)}
    positives = tuple(sorted(f"d{n}" for n in relevant))
    ranking = {"q": {f"d{n}": -float(n) for n in range(40)}}
    collection = asked(documents, {"q": positives})
    sieve = Sieve(Run.from_scores("s", ranking).cut(skip + width), {"q": positives}, skip)
    sieve.drop_known(collection, "train")
    texts = {fold_text(documents[p]) for p in positives}
    allowed = {f"d{n}" for n in range(skip, min(skip + width, 40))} - set(positives)
    allowed = {d for d in allowed if fold_text(documents[d]) not in texts}
    pool = sieve.pool()
    counts = pool.counts
    assert counts["candidates"] == counts["kept"] + sum(counts["dropped"].values())
    assert counts["kept"] == len(allowed) * len(positives)
    for choose in (choose_uniformly, choose_best_ranked):
        drawn = FromPool(pool, choose).draw("q", positives[0], size, rng())
        assert set(drawn) <= allowed
        assert len(drawn) == len(set(drawn)) == min(size, len(allowed))


def test_an_unjudged_copy_of_a_positive_is_dropped_and_counted(store):
    texts = {**TEXTS, "p": "The answer is 42", "c": "the  ANSWER\nis 42 "}
    found = pool({}, store, texts=texts)
    assert found.list_allowed("q", "p") == ["a", "b", "d", "e"]
    assert found.counts == {
        "queries": 1,
        "candidates": 6,
        "dropped": {"relevant": 1, "copy_of_relevant": 1},
        "kept": 4,
        "positives_without_bound": {},
        "queries_without_candidates": 0,
        "truncation": {"queries": 0, "documents": 0, "tokens_lost_share": 0.0},
    }


@given(st.text("aBb ßẞſsS\t\u00a0", max_size=4), st.text("aBb ßẞſsS\t\u00a0", max_size=4))
def test_a_look_at_the_first_letter_misses_no_copy(one, other):
    assert (one in Copies([other])) == (fold_text(one) == fold_text(other))


def test_the_window_must_hold_something():
    for choose in ("uniform", "best_ranked"):
        with pytest.raises(InputError, match=r"skip must lie in \[0, depth=5\), got 5"):
            RankWindow(SOURCE, depth=5, skip=5, choose=choose)


def test_a_filter_must_not_take_the_name_of_a_guard():
    with pytest.raises(InputError, match="filters must not be named .*, got 'relevant'"):
        RankWindow(SOURCE, filters={"relevant": Margin()})


def test_the_hardest_come_first_whatever_the_seed_and_a_window_draws_by_it(store):
    source = Ranking({"q": FIVE})
    top = mined(RankWindow(source, depth=5, skip=1, choose="best_ranked"), store)
    assert top.draw("q", "p", 2, rng(0)) == top.draw("q", "p", 2, rng(1)) == ["b", "c"]
    assert top.draw("q", "p", 9, rng()) == ["b", "c", "d"]
    window = mined(RankWindow(source, depth=5, skip=1), store)
    assert window.pool == top.pool
    draws = [window.draw("q", "p", 2, rng(seed)) for seed in range(200)]
    assert all(draw == window.draw("q", "p", 2, rng(seed)) for seed, draw in enumerate(draws))
    times = Counter(doc_id for draw in draws for doc_id in draw)
    assert times.keys() == {"b", "c", "d"}
    assert min(times.values()) > 100  # 133 each in the mean


@pytest.mark.parametrize(
    "margin, left",
    [
        (Margin(absolute=0.0, relative=None), ["b", "c", "d", "e"]),  # at most 1
        (Margin(absolute=0.25, relative=None), ["c", "d", "e"]),  # at most .75
        (Margin(absolute=None, relative=0.875), ["b", "c", "d", "e"]),  # at most .875
        (Margin(absolute=None, relative=0.5), ["d", "e"]),  # at most .5
        (Margin(absolute=0.25, relative=0.5), ["d", "e"]),  # both: the lower one
        (Margin(absolute=0.75, relative=0.5), ["e"]),
    ],
)
def test_a_margin_drops_what_scores_above_its_bound(margin, left, store):
    found = pool({"margin": margin}, store)
    assert found.list_allowed("q", "p") == left
    assert found.counts["dropped"]["margin"] == 5 - len(left)
    assert found.counts["positives_without_bound"] == {"margin": 0}


def test_a_share_of_a_negative_score_lies_below_it():
    assert Margin(relative=0.75).find_highest(4.0) == 3.0
    assert Margin(relative=0.75).find_highest(-4.0) == -5.0


def test_a_positive_that_the_source_did_not_rank_gives_no_bound_and_is_counted(store):
    found = pool({"near": Margin()}, store, relevant=("unranked",), texts={**TEXTS, "unranked": ""})
    assert found.list_allowed("q", "unranked") == ["a", "p", "b", "c", "d", "e"]
    assert found.counts["positives_without_bound"] == {"near": 1}
    assert found.first_stage_scores("q", ["unranked", "b"]) == (0.25, 0.875)


def test_each_positive_has_its_own_bound_and_candidates_are_counted_for_each(store):
    found = pool({"margin": Margin(absolute=0.125, relative=None)}, store, relevant=("b", "d"))
    assert found.list_allowed("q", "b") == ["c", "e"]  # at most .75
    assert found.list_allowed("q", "d") == ["e"]  # at most .375
    assert found.candidates.doc_ids("q") == ["c", "e"]
    assert found.barred == {"q": {"d": ["c"]}}
    assert found.counts["candidates"] == 12
    assert found.counts["dropped"] == {"relevant": 4, "copy_of_relevant": 0, "margin": 5}
    assert found.counts["kept"] == 3


def test_what_a_teacher_takes_for_relevant_is_dropped(store):
    teacher = Teacher({"p": 0.5, "a": 0.875, "b": 0.5, "c": 0.375, "d": 0.25, "e": 0.625})
    assert pool({"t": Denoising(teacher)}, store).list_allowed("q", "p") == ["b", "c", "d"]
    assert pool({"t": Denoising(teacher, margin=0.125)}, store).list_allowed("q", "p") == ["c", "d"]
    by_threshold = Denoising(teacher, threshold=0.75, margin=None)
    assert pool({"t": by_threshold}, store).list_allowed("q", "p") == ["b", "c", "d", "e"]
    assert pool({"t": Denoising(Oracle())}, store).counts["dropped"]["t"] == 0


def test_a_teacher_scores_what_is_left_and_the_positive_ranked_or_not(store):
    teacher = Teacher({"p": 3.0, "new": 2.0} | dict.fromkeys("abcde", 1.0))
    filters = {"margin": Margin(absolute=0.25, relative=None), "teacher": Denoising(teacher)}
    texts = {**TEXTS, "new": "a positive that the source did not rank"}
    found = pool(filters, store, relevant=("p", "new"), texts=texts)
    # the margin bounds only what stands beside "p", so that all five are asked about
    assert sorted(teacher.asked[0]["q"]) == ["a", "b", "c", "d", "e", "new", "p"]
    assert found.list_allowed("q", "p") == ["c", "d", "e"]
    assert found.list_allowed("q", "new") == ["a", "b", "c", "d", "e"]
    assert found.counts["positives_without_bound"] == {"margin": 1, "teacher": 0}
    pool(filters, store)
    assert sorted(teacher.asked[1]["q"]) == ["c", "d", "e", "p"]


def test_queries_left_without_candidates_are_counted(store):
    found = pool({"all": Denoising(Teacher(FIVE), threshold=0.0, margin=None)}, store)
    assert found.counts["queries_without_candidates"] == 1
    assert found.counts["kept"] == 0
    assert found.list_allowed("q", "p") == []


@pytest.mark.parametrize(
    "build, message",
    [
        (lambda: Margin(relative=None), "absolute or relative must be given, got neither"),
        (lambda: Margin(absolute=-1.0), "absolute must not be negative, got -1.0"),
        (lambda: Margin(relative=1.5), r"relative must lie in \(0, 1\], got 1.5"),
        (lambda: Denoising(Oracle(), margin=None), "threshold or margin must be given, got"),
        (lambda: Denoising(Oracle(), margin=-0.5), "margin must not be negative, got -0.5"),
        (lambda: Part(RankWindow(SOURCE), 0.0), "share must be positive, got 0.0"),
        (lambda: Mixed({}), "parts must hold at least one part, got none"),
        (lambda: Curriculum({}), "stages must hold at least one stage, got none"),
    ],
)
def test_bad_settings_are_refused(build, message):
    with pytest.raises(InputError, match=message):
        build()


def test_negatives_are_mined_once_and_what_was_mined_is_a_run_with_its_counts(collection, store):
    query_ids = collection.query_ids("train")
    every = {q: {d: -float(n) for n, d in enumerate(collection.documents)} for q in query_ids}
    source = Ranking(every)
    for seed in (0, 1, 2):
        found = RankWindow(source, depth=20, skip=3).mine(collection, "train", store)
        assert len(found.draw(query_ids[0], "d2", 5, rng(seed))) == 5
    assert source.asked == [20]
    (folder,) = (path.parent for path in store.root.glob("negatives/*/manifest.json"))
    run, manifest = Run.read(folder / POOL), read_manifest(folder)
    assert run == found.pool.candidates
    # 20 - 3 ranks; the relevant ones of queries d3 ... d19 in the training split lie among them
    inside = sum(int(q[1:]) in range(3, 20) for q in query_ids)
    assert inside > 5
    assert manifest["counts"]["candidates"] == 17 * len(query_ids)
    assert manifest["counts"]["dropped"]["relevant"] == inside
    assert sum(map(len, run.rankings.values())) == manifest["counts"]["kept"]
    window = manifest["identity"]["window"]
    assert (window["depth"], window["skip"]) == (20, 3)
    assert window["source"]["class"].endswith("Ranking")
    RankWindow(source, depth=20, skip=2).mine(collection, "train", store)
    assert len(list(store.root.glob("negatives/*/manifest.json"))) == 2


def test_a_split_without_positives_mines_nothing(store):
    source = Ranking({})
    found = RankWindow(source).mine(asked(TEXTS, {"q": ["elsewhere"]}), "train", store)
    assert found.counts["queries"] == 0
    assert source.asked == []


def test_known_positives_are_those_that_the_collection_holds():
    collection = asked(TEXTS, {"q": ["p", "a", "elsewhere"], "r": ["elsewhere"]})
    assert find_known_positives(collection, "train") == {"q": ("a", "p")}
    without = collection.excluding({"q": frozenset({"a"})})
    assert find_known_positives(without, "train") == {"q": ("p",)}


def test_excluded_documents_are_no_negatives(store):
    documents = {f"d{n}": f"text {n}" for n in range(8)}
    whole = asked(documents, {"q": ["d0"]})
    mined = RankWindow(SOURCE, 3).mine(
        whole.excluding({"q": frozenset({"d1", "d2"})}), "train", store
    )
    drawn = RankWindow(SOURCE, 8).mine(whole, "train", store).pool.list_allowed("q", "d0")
    left = (
        RankWindow(SOURCE, 8)
        .mine(whole.excluding({"q": frozenset({"d1", "d2"})}), "train", store)
        .pool.list_allowed("q", "d0")
    )
    assert set(drawn) - set(left) == {"d1", "d2"}
    assert not {"d1", "d2"} & set(mined.pool.list_allowed("q", "d0"))


@pytest.mark.parametrize(
    "fractions, size, expected",
    [
        ({"bm25": 0.5, "random": 0.5}, 8, {"bm25": 4, "random": 4}),
        ({"bm25": 0.5, "random": 0.5}, 7, {"bm25": 4, "random": 3}),  # a tie: alphabetical
        ({"a": 0.2, "b": 0.3, "c": 0.5}, 7, {"a": 1, "b": 2, "c": 4}),  # 1.4, 2.1, 3.5
        ({"a": 1 / 3, "b": 1 / 3, "c": 1 / 3}, 3, {"a": 1, "b": 1, "c": 1}),
        ({"a": 0.1, "b": 0.9}, 1, {"a": 0, "b": 1}),
    ],
)
def test_shares_are_rounded_by_largest_remainders(fractions, size, expected):
    assert apportion(fractions, size) == expected
    assert apportion(dict(reversed(fractions.items())), size) == expected


@given(st.lists(st.floats(0.01, 100), min_size=1, max_size=5), st.integers(0, 50))
def test_rounded_shares_add_up_and_are_off_by_less_than_one(weights, size):
    fractions = {f"p{n}": weight / sum(weights) for n, weight in enumerate(weights)}
    found = apportion(fractions, size)
    assert sum(found.values()) == size
    assert all(abs(found[name] - size * share) < 1 + 1e-6 for name, share in fractions.items())


def top(*doc_ids):
    """The first of these documents, in this order."""
    ranking = {doc_id: -float(n) for n, doc_id in enumerate(doc_ids)}
    return RankWindow(Ranking({"q": ranking}), choose="best_ranked")


def test_each_part_draws_its_share_and_a_document_comes_once(store):
    parts = {"x": Part(top("a", "b", "c", "d"), 3.0), "y": Part(top("b", "a", "e", "p"), 1.0)}
    assert mined(Mixed(parts), store).draw("q", "p", 4, rng()) == ["a", "b", "c", "e"]


def test_a_part_that_has_too_few_is_filled_up_by_the_others(store):
    few = Mixed({"few": Part(top("a")), "many": Part(top("b", "c", "d", "e"))})
    assert mined(few, store).draw("q", "p", 4, rng()) == ["a", "b", "c", "d"]
    assert mined(few, store).draw("q", "p", 9, rng()) == ["a", "b", "c", "d", "e"]


def test_a_mixture_counts_and_keeps_what_each_part_mined(store):
    blend = mined(Mixed({"one": Part(top("a", "p")), "two": Part(top("b"))}), store)
    assert {name: counts["kept"] for name, counts in blend.counts.items()} == {"one": 1, "two": 1}
    assert blend.first_stage_scores("q", ["p", "a"]) is None
    assert len(list(store.root.glob("negatives/*/manifest.json"))) == 2


@given(st.integers(1, 12), st.floats(0.05, 20), st.integers(0, 3))
def test_a_mixture_draws_distinct_documents_as_many_as_there_are(size, weight, seed):
    one = {"q": {f"a{n}": 0.0 for n in range(4)} | {"both": 1.0}}
    two = {"q": {f"b{n}": 0.0 for n in range(3)} | {"both": 1.0, "p": 2.0}}
    pools = {}
    for name, scores in (("one", one), ("two", two)):
        sieve = Sieve(Run.from_scores(name, scores), {"q": ("p",)})
        documents = {d: d for d in (*one["q"], *two["q"])}
        sieve.drop_known(asked(documents, {"q": ["p"]}), "train")
        pools[name] = FromPool(sieve.pool(), choose_uniformly)
    blend = Blend(pools, {"one": weight / (1 + weight), "two": 1 / (1 + weight)})
    drawn = blend.draw("q", "p", size, rng(seed))
    assert len(drawn) == len(set(drawn)) == min(size, 8)
    assert "p" not in drawn
    assert drawn == blend.draw("q", "p", size, rng(seed))


def test_a_curriculum_is_its_stages_in_order_with_shares_of_the_steps():
    easy, hard = RankWindow(SOURCE), RankWindow(SOURCE, choose="best_ranked")
    curriculum = Curriculum({"warm": Part(easy, 1.0), "hard": Part(hard, 3.0)})
    stages = [("warm", TrainingStage(easy, 0.25)), ("hard", TrainingStage(hard, 0.75))]
    assert list(curriculum.schedule.items()) == stages
    assert hard.schedule == {"all": TrainingStage(hard, 1.0)}
    turned = Curriculum(dict(reversed(curriculum.stages.items())))
    assert turned.order != curriculum.order


def test_a_curriculum_has_no_place_within_another_strategy(store):
    curriculum = Curriculum({"only": Part(top("a"))})
    with pytest.raises(InputError, match="sampler must be one without stages .* Curriculum"):
        Part(curriculum)
    assert mined(curriculum, store).draw("q", "p", 3, rng()) == ["a"]
