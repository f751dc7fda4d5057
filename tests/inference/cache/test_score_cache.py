import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recross.errors import InputError
from recross.inference.cache import open_files, score_pages
from recross.inference.cache.score_cache import LEAST_BYTES, ScoreCache, clear, count_scores, verify
from recross.inference.cache.score_keys import Keys
from tests.damaged_scores import change_pages

MODEL = "MiniLM, 512 tokens, fp32"
DUO = ("which is faster", "a hare", "a tortoise")
SPAWN = multiprocessing.get_context("spawn")


@pytest.fixture
def cache(tmp_path):
    return ScoreCache(tmp_path / "scores")


def numbered(writer, number, size=20):
    """The items of one write and their scores, which say where they come from."""
    items = [(f"query {number} of {writer}", f"document {n}") for n in range(size)]
    return items, np.arange(size, dtype=np.float32) + 1000 * number


def found(cache, *items, scorer=MODEL):
    return cache.read(scorer, items).tolist()


# What is a hit


def test_an_opened_cache_has_not_touched_the_disk(cache):
    assert not cache.path.exists()


def test_a_written_score_is_read_back_and_nothing_else_is(cache):
    cache.write(MODEL, [("q", "one"), ("q", "two")], [1.5, -2.5])
    scores = cache.read(MODEL, [("q", "two"), ("q", "three"), ("q", "one")])
    assert scores.dtype == np.float32
    np.testing.assert_array_equal(scores, np.float32([-2.5, np.nan, 1.5]))


@pytest.mark.parametrize(
    ("scorer", "item"),
    [
        ("MiniLM, 256 tokens, fp32", DUO),
        (MODEL, ("which is slower", "a hare", "a tortoise")),
        (MODEL, ("which is faster", "a Hare", "a tortoise")),
        (MODEL, ("which is faster", "a hare", "a tortoise ")),
        (MODEL, ("which is faster", "a tortoise", "a hare")),
        (MODEL, ("which is faster", "a hare")),
        (MODEL, ("which is faster", "a hare", "a tortoise", "")),
        (MODEL, ("which is faster", "a harea tortoise")),
        (MODEL, ("a hare", "which is faster", "a tortoise")),
    ],
)
def test_whoever_changes_one_part_misses(cache, scorer, item):
    cache.write(MODEL, [DUO], [0.25])
    assert found(cache, DUO) == [0.25]
    assert np.isnan(cache.read(scorer, [item])[0])


def test_the_same_texts_hit_whatever_objects_and_batches_they_come_in(cache):
    cache.write(MODEL, [("query", "document"), DUO], [0.5, 0.75])
    copy = ("".join(["que", "ry"]), "".join(["docu", "ment"]))
    assert found(cache, DUO, ("x", "y"), copy)[::2] == [0.75, 0.5]


def test_empty_long_and_foreign_texts_are_texts_of_their_own(cache):
    texts = ["", " ", "\0", "é", "e\u0301", "猫", "🦉", "\ud800", "a" * 5_000_000, "a" * 5_000_001]
    items = [(query, document) for query in texts for document in texts]
    scores = np.arange(len(items), dtype=np.float32)
    cache.write(MODEL, items, scores)
    np.testing.assert_array_equal(cache.read(MODEL, items), scores)


def test_an_item_twice_in_a_batch_is_one_entry_and_its_last_score_counts(cache):
    cache.write(MODEL, [("q", "a"), ("q", "b"), ("q", "a")], [1, 2, 3])
    assert found(cache, ("q", "a"), ("q", "a"), ("q", "b")) == [3, 3, 2]
    assert count_scores(cache.path).entries == 2


def test_a_later_score_replaces_an_earlier_one_and_leaves_its_neighbours(cache):
    cache.write(MODEL, [("q", "a"), ("q", "b")], [1, 2])
    cache.write(MODEL, [("q", "c"), ("q", "a")], [3, 4])
    assert found(cache, ("q", "a"), ("q", "b"), ("q", "c")) == [4, 2, 3]
    assert count_scores(cache.path).entries == 3


def test_digests_that_share_a_half_are_told_apart():
    one = Keys(b"s" * 16, [b"s" * 16 + b"q" * 16], np.zeros(1, int), np.uint64([[7, 1]]))
    other = Keys(one.scorer, one.pages, one.page_of, np.uint64([[7, 2]]))
    ((key, entries),) = score_pages.split_by_page(one, np.float32([0.5]))
    page = score_pages.lay_out_page(key, entries, 0)
    assert score_pages.look_up(one, [page]).scores.tolist() == [0.5]
    assert np.isnan(score_pages.look_up(other, [page]).scores.item())


text = st.text(max_size=6)
item = st.one_of(st.tuples(text, text), st.tuples(text, text, text))
score = st.floats(width=32, allow_nan=False, allow_infinity=False)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(st.tuples(item, score), min_size=1, max_size=12), max_size=4))
def test_what_is_read_is_bit_for_bit_what_was_written_last(cache, batches):
    clear(cache.path)
    expected = {}
    for batch in batches:
        items, scores = zip(*batch, strict=True)
        cache.write(MODEL, items, scores)
        expected.update(batch)
    scores = cache.read(MODEL, list(expected))
    assert scores.tobytes() == np.array(list(expected.values()), np.float32).tobytes()
    assert count_scores(cache.path).entries == len(expected)


# What is refused


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf, 1e39])
def test_a_score_that_is_no_number_is_refused_and_nothing_of_its_batch_is_kept(cache, wrong):
    with (
        np.errstate(over="ignore"),
        pytest.raises(InputError, match=r"scores must be finite, got (nan|-?inf) \(1 such"),
    ):
        cache.write(MODEL, [("q", "a"), ("q", "b")], [1.0, wrong])
    assert np.isnan(found(cache, ("q", "a")))


def test_scores_are_one_for_each_item(cache):
    with pytest.raises(InputError, match=r"one for each of 2 items, got \(1,\)"):
        cache.write(MODEL, [("q", "a"), ("q", "b")], [1.0])


def test_a_query_alone_is_no_item(cache):
    with pytest.raises(InputError, match=r"a query and a document, got 1 text"):
        cache.read(MODEL, [("q", "a"), ("q",)])


def test_a_bound_too_small_to_work_with_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"max_bytes must lie in \[1048576, \d+\], got 5"):
        ScoreCache(tmp_path, max_bytes=5)


def test_no_items_and_a_cache_that_is_off_leave_the_disk_alone(cache):
    off = ScoreCache(cache.path, enabled=False)
    off.write(MODEL, [("q", "a")], [1.0])
    assert np.isnan(found(off, ("q", "a")))
    cache.write(MODEL, [], [])
    assert cache.read(MODEL, []).shape == (0,)
    assert not cache.path.exists()


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")
    for place in (tmp_path / "file" / "scores", Path("/proc/scores")):
        with pytest.raises(InputError, match=f"with room to write, got '{place}'"):
            ScoreCache(place).read(MODEL, [("q", "a")])


def test_a_file_that_is_no_cache_is_named_and_can_be_cleared(cache):
    cache.path.mkdir()
    (cache.path / "data.mdb").write_bytes(b"something else" * 1000)
    with pytest.raises(InputError, match=f"got '{cache.path}'"):
        cache.read(MODEL, [("q", "a")])
    clear(cache.path)
    cache.write(MODEL, [("q", "a")], [1.0])
    assert found(cache, ("q", "a")) == [1.0]


def test_a_file_that_was_cut_short_is_named_before_it_is_read(cache):
    write = SPAWN.Process(target=fill, args=(cache.path, LEAST_BYTES))
    write.start()
    write.join()
    data = cache.path / "data.mdb"
    os.truncate(data, data.stat().st_size // 2)
    with pytest.raises(InputError, match=f"got '{cache.path}': data.mdb is shorter than"):
        cache.read(MODEL, [("query 1", "document")])
    with pytest.raises(InputError, match="is shorter than"):
        verify(cache.path)


FULL_DISK = """
import resource, sys
from pathlib import Path
from recross.errors import RunError
from recross.inference.cache.score_cache import ScoreCache, verify
cache = ScoreCache(Path(sys.argv[1]))
cache.write("m", [("q", "kept")], [1.0])
size = (cache.path / "data.mdb").stat().st_size
soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (size + 65536, hard))
try:
    cache.write("m", [(f"q {n}", "lost") for n in range(20000)], [2.0] * 20000)
except RunError as error:
    print(error)
resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
print(cache.read("m", [("q", "kept"), ("q 0", "lost")]), verify(cache.path))
cache.write("m", [("q", "later")], [3.0])
print(cache.read("m", [("q", "later")]))
"""


def test_a_full_disk_is_named_and_costs_only_the_batch_that_met_it(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path / "scores")],
        capture_output=True,
        text=True,
        check=True,
    )
    said, kept, later = done.stdout.splitlines()
    assert "with room to write" in said
    assert str(tmp_path / "scores") in said
    assert kept == "[ 1. nan] 0"
    assert later == "[3.]"


# What is dropped


def test_the_file_stays_below_its_bound_and_the_newest_scores_in_it(tmp_path):
    cache = ScoreCache(tmp_path / "scores", max_bytes=LEAST_BYTES)
    writes = [numbered("me", number, size=200) for number in range(400)]
    for items, scores in writes:
        cache.write(MODEL, items, scores)
        assert (cache.path / "data.mdb").stat().st_size <= LEAST_BYTES
    held = [np.array_equal(cache.read(MODEL, items), scores) for items, scores in writes]
    first = held.index(True)
    assert all(held[first:]), "the newest are kept without a gap"
    assert 90 < 400 - first <= 128, "between three and four generations of 32 pages"
    assert count_scores(cache.path).entries == 200 * (400 - first)
    assert verify(cache.path) == 0


def test_one_write_larger_than_the_cache_leaves_its_end(tmp_path):
    cache = ScoreCache(tmp_path / "scores", max_bytes=LEAST_BYTES)
    items = [(f"query {n // 10}", f"document {n % 10}") for n in range(60_000)]
    cache.write(MODEL, items, np.arange(60_000))
    scores = cache.read(MODEL, items)
    first = int(np.flatnonzero(~np.isnan(scores))[0])
    np.testing.assert_array_equal(scores[first:], np.arange(first, 60_000))
    assert 0 < first < 59_000
    assert (cache.path / "data.mdb").stat().st_size <= LEAST_BYTES


def test_a_query_with_more_documents_than_fit_keeps_some(tmp_path):
    cache = ScoreCache(tmp_path / "scores", max_bytes=LEAST_BYTES)
    items = [("one query", f"document {n}") for n in range(50_000)]
    cache.write(MODEL, items, np.arange(50_000))
    scores = cache.read(MODEL, items)
    hit = ~np.isnan(scores)
    assert 100 < hit.sum() < 50_000
    np.testing.assert_array_equal(scores[hit], np.arange(50_000)[hit])


def test_a_larger_bound_gives_an_open_cache_more_room(tmp_path):
    items = [(f"query {n}", "document") for n in range(30_000)]
    ScoreCache(tmp_path / "scores", LEAST_BYTES).write(MODEL, items[:10], np.zeros(10))
    large = ScoreCache(tmp_path / "scores", 64 * LEAST_BYTES)
    large.write(MODEL, items, np.arange(30_000))
    np.testing.assert_array_equal(large.read(MODEL, items), np.arange(30_000))


# Several processes


def write_for_ever(path, writer, journal):
    """Write batch after batch, and note each after its commit was reported."""
    cache = ScoreCache(path)
    with Path(journal).open("a") as notes:
        number = 0
        while True:
            cache.write(MODEL, *numbered(writer, number))
            notes.write(f"{writer} {number}\n")
            notes.flush()
            number += 1


def test_four_processes_write_and_the_one_that_is_killed_loses_nothing_it_reported(tmp_path):
    cache = ScoreCache(tmp_path / "scores")
    journals = [tmp_path / f"journal {writer}" for writer in range(4)]
    writers = [
        SPAWN.Process(target=write_for_ever, args=(cache.path, writer, journal), daemon=True)
        for writer, journal in enumerate(journals)
    ]
    for process in writers:
        process.start()
    wait_for(lambda: all(j.exists() and j.read_text().count("\n") > 20 for j in journals))
    os.kill(writers[0].pid, signal.SIGKILL)
    before = [journal.read_text().count("\n") for journal in journals[1:]]
    wait_for(
        lambda: all(
            journal.read_text().count("\n") > count + 20
            for journal, count in zip(journals[1:], before, strict=True)
        )
    )
    for process in writers:  # the others too, all in the middle of something
        process.kill()
        process.join()
    assert verify(cache.path) == 0
    noted = [line.split() for journal in journals for line in journal.read_text().splitlines()]
    assert len(noted) > 100
    for writer, number in noted:
        items, scores = numbered(writer, int(number))
        np.testing.assert_array_equal(cache.read(MODEL, items), scores)
    cache.write(MODEL, [("q", "after")], [1.0])
    assert found(cache, ("q", "after")) == [1.0]


def wait_for(fact):
    end = time.monotonic() + 240
    while not fact():
        assert time.monotonic() < end, "waited for four minutes"
        time.sleep(0.01)


def write_documents(path, writer):
    cache = ScoreCache(path)
    for number in range(30):
        cache.write(MODEL, [("one query", f"document {number} of {writer}")], [writer + number])


def test_processes_that_add_to_one_query_do_not_lose_each_others_documents(tmp_path):
    cache = ScoreCache(tmp_path / "scores")
    writers = [SPAWN.Process(target=write_documents, args=(cache.path, 100 * n)) for n in range(3)]
    for process in writers:
        process.start()
    for process in writers:
        process.join()
    expected = {
        ("one query", f"document {number} of {writer}"): float(writer + number)
        for writer in (0, 100, 200)
        for number in range(30)
    }
    assert found(cache, *expected) == list(expected.values())


def test_readers_see_whole_writes_while_another_process_writes(tmp_path):
    cache = ScoreCache(tmp_path / "scores")
    journal = tmp_path / "journal"
    writer = SPAWN.Process(target=write_for_ever, args=(cache.path, "w", journal), daemon=True)
    writer.start()
    wait_for(lambda: journal.exists() and journal.read_text().count("\n") > 3)
    seen = set()
    for number in range(3, 60):
        items, scores = numbered("w", number)
        got = cache.read(MODEL, items)
        whole, none = np.array_equal(got, scores), bool(np.isnan(got).all())
        assert whole or none
        seen.add(whole)
    writer.kill()
    writer.join()
    assert True in seen


FORK = """
import os, sys
from pathlib import Path
from recross.inference.cache.score_cache import ScoreCache
cache = ScoreCache(Path(sys.argv[1]))
cache.write("m", [("q", "parent")], [1.0])
child = os.fork()
if not child:
    cache.write("m", [("q", "child")], [2.0])
    os._exit(0 if cache.read("m", [("q", "parent")]) == 1.0 else 1)
assert os.waitpid(child, 0)[1] == 0
cache.write("m", [("q", "later")], [3.0])
print(cache.read("m", [("q", "parent"), ("q", "child"), ("q", "later")]))
"""


def test_a_forked_child_and_its_parent_share_one_cache(tmp_path):
    command = [sys.executable, "-c", FORK, str(tmp_path / "scores")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=240)
    assert done.stdout == "[1. 2. 3.]\n"


def test_threads_of_one_process_may_read_and_write_at_once(cache):
    def write_and_read(writer):
        for number in range(20):
            items, scores = numbered(writer, number)
            cache.write(MODEL, items, scores)
            wrong.extend([writer] * (not np.array_equal(cache.read(MODEL, items), scores)))

    wrong = []
    threads = [threading.Thread(target=write_and_read, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert count_scores(cache.path).entries == 4 * 20 * 20


def fill(path, max_bytes):
    items = [(f"query {n}", "document") for n in range(30_000)]
    ScoreCache(path, max_bytes).write(MODEL, items, np.ones(30_000))


def test_a_process_with_a_small_bound_reads_what_one_with_a_large_bound_wrote(tmp_path):
    small = ScoreCache(tmp_path / "scores", LEAST_BYTES)
    small.write(MODEL, [("q", "a")], [1.0])
    other = SPAWN.Process(target=fill, args=(small.path, 64 * LEAST_BYTES))
    other.start()
    other.join()
    assert found(small, ("q", "a"), ("query 29999", "document")) == [1.0, 1.0]
    small.write(MODEL, [("q", "b")], [2.0])
    assert found(small, ("q", "b")) == [2.0]


def read_for_ever(path, begun):
    with (
        open_files.use_file(path, LEAST_BYTES) as file,
        file.reading() as transaction,
    ):
        next(file.pages(transaction))
        begun.set()
        time.sleep(600)


def reader_of(cache):
    begun = SPAWN.Event()
    reader = SPAWN.Process(target=read_for_ever, args=(cache.path, begun), daemon=True)
    reader.start()
    assert begun.wait(240)
    return reader


def test_a_reader_that_never_ends_stops_a_full_cache_with_one_error_and_no_longer(tmp_path):
    cache = ScoreCache(tmp_path / "scores", LEAST_BYTES)
    cache.write(MODEL, *numbered("me", 0))
    reader = reader_of(cache)
    number = 0
    with pytest.raises(InputError, match=f"room to write, got '{cache.path}'.*MAP_FULL"):
        while number < 1000:
            number += 1
            cache.write(MODEL, *numbered("me", number, size=200))
    items, scores = numbered("me", number - 1, size=200)
    np.testing.assert_array_equal(cache.read(MODEL, items), scores)
    reader.kill()
    reader.join()
    items, scores = numbered("me", number, size=200)
    cache.write(MODEL, items, scores)
    np.testing.assert_array_equal(cache.read(MODEL, items), scores)
    assert verify(cache.path) == 0


# What can be said of a cache


def test_statistics_count_entries_of_each_scorer_and_their_age(cache):
    assert (count_scores(cache.path).entries, verify(cache.path)) == (0, 0)
    before = time.time()
    cache.write("first", [("q", "a"), ("p", "a")], [1, 2])
    between = time.time()
    cache.write("second \ud800", [("q", "a")], [3])
    held = count_scores(cache.path)
    assert held.scorers == {"first": 2, "second \ud800": 1}
    assert held.entries == 3
    assert held.bytes == (cache.path / "data.mdb").stat().st_size
    assert before <= held.oldest <= between <= held.newest <= time.time()


def test_clearing_gives_the_room_back_also_to_those_who_have_it_open(cache):
    assert clear(cache.path) == 0
    cache.write(MODEL, [("q", "a")], [1.0])
    size = (cache.path / "data.mdb").stat().st_size
    assert clear(cache.path) == size
    assert [path.name for path in cache.path.parent.iterdir() if path.is_dir()] == []
    assert np.isnan(found(cache, ("q", "a")))
    cache.write(MODEL, [("q", "a")], [2.0])
    assert found(cache, ("q", "a")) == [2.0]


def clear_here(path):
    clear(path)


def test_a_process_notices_that_another_has_cleared_the_cache(cache):
    cache.write(MODEL, [("q", "a")], [1.0])
    other = SPAWN.Process(target=clear_here, args=(cache.path,))
    other.start()
    other.join()
    assert np.isnan(found(cache, ("q", "a")))
    cache.write(MODEL, [("q", "b")], [2.0])
    assert count_scores(cache.path).entries == 1


@pytest.mark.parametrize(
    "change",
    [
        lambda page: page[:-1] + bytes([page[-1] ^ 1]),
        lambda page: bytes([page[0] ^ 1]) + page[1:],
        lambda page: page[:-20],
        lambda page: page[:-3],
        lambda _: b"",
    ],
    ids=["score", "checksum", "entry lost", "cut", "empty"],
)
def test_a_damaged_page_is_found_is_never_read_and_can_be_dropped(cache, change):
    cache.write(MODEL, [("q", "a"), ("q", "b")], [1, 2])
    change_pages(cache, change)
    cache.write(MODEL, [("p", "a")], [3])
    assert np.isnan(found(cache, ("q", "a"), ("q", "b"))).all()
    assert count_scores(cache.path).entries == 1
    assert verify(cache.path) >= 1
    assert verify(cache.path, repair=True) >= 1
    assert verify(cache.path) == 0
    assert found(cache, ("p", "a")) == [3]


def test_a_page_moved_to_another_query_is_damaged(cache):
    cache.write(MODEL, [("q", "a")], [1])
    with open_files.use_file(cache.path, LEAST_BYTES) as file, file.writing() as transaction:
        generation, _, page = next(file.pages(transaction))
        (elsewhere,) = Keys.of_texts(MODEL, [("p", "a")]).pages
        transaction.put(elsewhere, page, db=generation)
    assert np.isnan(found(cache, ("p", "a")))
    assert verify(cache.path) == 1


def test_a_damaged_page_is_written_anew(cache):
    cache.write(MODEL, [("q", "a"), ("q", "b")], [1, 2])
    change_pages(cache, lambda page: page[:-1])
    cache.write(MODEL, [("q", "a")], [4])
    assert found(cache, ("q", "a")) == [4]
    assert verify(cache.path) == 0


def test_an_infinite_score_with_a_sound_checksum_is_bad_all_the_same(cache):
    cache.write(MODEL, [("q", "a")], [1])
    with open_files.use_file(cache.path, LEAST_BYTES) as file, file.writing() as transaction:
        generation, key, page = next(file.pages(transaction))
        entries = score_pages.read_entries(page).copy()
        entries["score"] = np.inf
        transaction.put(key, score_pages.lay_out_page(key, entries, 0), db=generation)
    assert verify(cache.path) == 1
