"""Tokens that are kept are those of the tokenizer, whatever interrupted their making."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tokenizers.processors import TemplateProcessing
from transformers import AutoTokenizer, ByT5Tokenizer, ProphetNetTokenizer

from recross.collections.collection import Collection
from recross.errors import InputError, RunError
from recross.inference.texts import (
    collection_texts,
    text_index,
    token_file,
    token_processes,
    tokenising,
)
from recross.inference.texts.collection_texts import CollectionTexts, KeptTexts
from recross.inference.texts.digests import digest_texts
from recross.inference.texts.text_index import TextIndex, find_firsts, hash_id
from recross.inference.texts.texts import GivenTexts
from recross.inference.texts.token_file import open_token_file, write_token_file
from recross.inference.texts.token_ids import TokenIds
from recross.inference.texts.tokenising import tokenize
from recross.inference.texts.tokenizer_identity import digest_tokenizer
from recross.rerankers.cross_encoder import CrossEncoder
from recross.retrieval.biencoder import BiEncoder
from recross.runs import Run
from tests.conftest import save_tiny
from tests.rerankers.test_dual_encoder import save_sentences

TEXTS = ["here lives a red cat", "", "an owl and more words", "a red dog", "an owl and more words"]


@pytest.fixture
def tokenizer(tmp_path):
    return AutoTokenizer.from_pretrained(save_tiny(tmp_path / "tokenizer"))


@pytest.fixture
def every_collection_is_kept(monkeypatch):
    monkeypatch.setattr(collection_texts, "KEPT_FROM", 2)


def rows_of(tokens):
    return [part.tolist() for part in np.split(tokens.ids, tokens.offsets[1:-1])]


def written(folder, texts, tokenizer):
    facts = write_token_file(folder, iter(texts), len(texts), tokenizer, "tokenising")
    return open_token_file(folder, facts)


@pytest.mark.parametrize("largest, kind", [(1 << 16, np.uint16), ((1 << 16) + 1, np.uint32)])
def test_tokens_are_those_of_each_text_alone(tmp_path, tokenizer, monkeypatch, largest, kind):
    vocabulary = {**tokenizer.get_vocab(), "last": largest - 1}
    monkeypatch.setattr(tokenizer, "get_vocab", lambda: vocabulary)
    monkeypatch.setattr(token_file, "TEXTS_PER_PART", 2)
    monkeypatch.setattr(token_file, "LENGTHS_AT_ONCE", 2)
    found = written(tmp_path / "kept", TEXTS, tokenizer)
    assert found.ids.dtype == kind
    assert rows_of(found) == tokenize(tokenizer, TEXTS)
    taken = found.take(np.array([3, 1, 3, 0]))
    assert rows_of(taken) == tokenize(tokenizer, [TEXTS[n] for n in (3, 1, 3, 0)])
    assert rows_of(TokenIds.end_to_end([taken, found]))[4:] == tokenize(tokenizer, TEXTS)


def test_no_texts_have_no_tokens(tmp_path, tokenizer):
    assert len(written(tmp_path / "none", [], tokenizer)) == 0
    assert rows_of(written(tmp_path / "empty", [""], tokenizer)) == [[]]


@pytest.mark.parametrize("dies_at", [0, 1, 2])
def test_an_interrupted_writing_goes_on_and_tokenises_nothing_twice(
    tmp_path, tokenizer, monkeypatch, dies_at
):
    monkeypatch.setattr(token_file, "TEXTS_PER_PART", 2)
    tokenised = []

    def dying(tokenizer, texts):
        if len(tokenised) == dies_at and not (tmp_path / "died").exists():
            (tmp_path / "died").touch()
            raise KeyboardInterrupt
        tokenised.append(list(texts))
        return tokenize(tokenizer, texts)

    monkeypatch.setattr(tokenising, "tokenize", dying)
    with pytest.raises(KeyboardInterrupt):
        written(tmp_path / "kept", TEXTS, tokenizer)
    for name in (token_file.IDS, token_file.LENGTHS):  # what lies behind the last part
        with (tmp_path / "kept" / name).open("ab") as file:
            file.write(b"half a part")
    found = written(tmp_path / "kept", TEXTS, tokenizer)
    assert rows_of(found) == tokenize(tokenizer, TEXTS)
    assert [text for part in tokenised for text in part] == TEXTS


def test_a_file_that_was_cut_off_is_refused(tmp_path, tokenizer):
    folder = tmp_path / "kept"
    facts = write_token_file(folder, iter(TEXTS), len(TEXTS), tokenizer, "tokenising")
    with (folder / token_file.IDS).open("r+b") as file:
        file.truncate(4)
    with pytest.raises(RunError, match="delete the folder"):
        open_token_file(folder, facts)


def test_offsets_of_other_texts_are_refused(tmp_path, tokenizer):
    facts = write_token_file(tmp_path / "kept", iter(TEXTS), len(TEXTS), tokenizer, "tokenising")
    written(tmp_path / "other", ["an owl", *TEXTS[1:]], tokenizer)
    other = (tmp_path / "other" / token_file.OFFSETS).read_bytes()
    (tmp_path / "kept" / token_file.OFFSETS).write_bytes(other)
    with pytest.raises(RunError, match="delete the folder"):
        open_token_file(tmp_path / "kept", facts)


@pytest.mark.parametrize("name", [token_file.IDS, token_file.LENGTHS])
def test_an_interrupted_file_that_lost_bytes_begins_again(
    tmp_path, tokenizer, monkeypatch, caplog, name
):
    def interrupted():
        yield from TEXTS[:4]
        raise KeyboardInterrupt

    monkeypatch.setattr(token_file, "TEXTS_PER_PART", 2)
    with pytest.raises(KeyboardInterrupt):
        write_token_file(tmp_path / "kept", interrupted(), len(TEXTS), tokenizer, "tokenising")
    with (tmp_path / "kept" / name).open("r+b") as file:
        file.truncate(4)
    found = written(tmp_path / "kept", TEXTS, tokenizer)
    assert rows_of(found) == tokenize(tokenizer, TEXTS)
    assert f"{name} is not what was written; begun again" in caplog.text


def test_fewer_texts_than_a_collection_says_are_refused(tmp_path, tokenizer):
    with pytest.raises(RunError, match="as it says, 6, got 5"):
        write_token_file(tmp_path / "kept", iter(TEXTS), 6, tokenizer, "tokenising")


SCRIPT = """
import sys
from pathlib import Path
from transformers import AutoTokenizer
from recross.inference.texts import token_file, token_processes
from recross.inference.texts.token_file import write_token_file

token_file.TEXTS_PER_PART, token_processes.TEXTS_WORTH_PROCESSES = 50, 1
token_processes.count_usable_cores = lambda: 2
folder, checkpoint = Path(sys.argv[1]), sys.argv[2]
texts = [f"here lives a red cat {number} and more words" for number in range(2_000)]

def slow():
    for text in texts:
        if "fast" not in sys.argv and (folder / "written.json").exists():
            (folder / "begun").touch()
            __import__("time").sleep(600)
        yield text
"""
WORK = """
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    print(write_token_file(folder, slow(), len(texts), tokenizer, "tokenising"))
"""
GUARDED = f"{SCRIPT}\nif __name__ == '__main__':{WORK}"


def start(script, *arguments):
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, str(script), *map(str, arguments)]
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_several_processes_that_are_killed_leave_no_orphan_and_write_what_one_would(
    tmp_path, tokenizer
):
    script, folder, checkpoint = tmp_path / "script.py", tmp_path / "kept", tmp_path / "tokenizer"
    script.write_text(GUARDED)
    killed = start(script, folder, checkpoint)
    deadline = time.monotonic() + 240
    while not (folder / "begun").exists():
        assert killed.poll() is None, killed.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    children = find_children(killed.pid)
    assert len(children) >= 2
    os.kill(killed.pid, signal.SIGKILL)
    killed.communicate()
    while any(map(is_alive, children)):
        assert time.monotonic() < deadline, "a process outlives the one that started it"
        time.sleep(0.05)
    done, errors = start(script, folder, checkpoint, "fast").communicate(timeout=240)
    found = open_token_file(folder, eval(done))
    texts = [f"here lives a red cat {number} and more words" for number in range(2_000)]
    alone = written(tmp_path / "alone", texts, tokenizer)
    assert found.ids.tobytes() == alone.ids.tobytes()
    assert (found.offsets == alone.offsets).all()
    assert "goes on alone" not in errors


@pytest.mark.usefixtures("tokenizer")
def test_a_script_without_a_guard_has_processes_and_is_not_run_by_them(tmp_path):
    script, folder, runs = tmp_path / "script.py", tmp_path / "kept", tmp_path / "runs"
    noted = f"open({str(runs)!r}, 'a').write('once')"
    script.write_text(f"{noted}\n{SCRIPT}\nif True:{WORK}")
    done, errors = start(script, folder, tmp_path / "tokenizer", "fast").communicate(timeout=240)
    assert (errors, runs.read_text()) == ("", "once")
    facts = eval(done)
    assert facts["texts"] == len(open_token_file(folder, facts)) == 2_000


def test_where_processes_end_one_goes_on_alone(tmp_path, tokenizer, monkeypatch, caplog):
    texts = [f"here lives a red cat {number}" for number in range(40)]
    alone = written(tmp_path / "alone", texts, tokenizer)
    monkeypatch.setattr(token_file, "TEXTS_PER_PART", 2)
    monkeypatch.setattr(token_processes, "TEXTS_WORTH_PROCESSES", 1)
    monkeypatch.setattr(token_processes, "count_usable_cores", lambda: 2)
    monkeypatch.setattr(sys, "executable", "/bin/true")
    found = written(tmp_path / "kept", texts, tokenizer)
    assert "one goes on alone" in caplog.text
    assert found.ids.tobytes() == alone.ids.tobytes()


def find_children(pid):
    path = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in path.read_text().split()]


def is_alive(pid):
    status = Path(f"/proc/{pid}/status")
    return status.is_file() and "State:\tZ" not in status.read_text()


def index_of(folder, texts):
    return TextIndex.open(folder, TextIndex.write(folder, texts, "indexing"))


def test_an_index_says_where_texts_stand_and_which_are_equal(tmp_path):
    texts = {f"d{number}": text for number, text in enumerate(TEXTS)}
    index = index_of(tmp_path / "index", texts)
    assert index.find_rows(["d4", "d0", "d4"]).tolist() == [4, 0, 4]
    assert index.fold(np.arange(5)).tolist() == [0, 1, 2, 3, 2]
    assert (index.digests == digest_texts(TEXTS)).all()
    with pytest.raises(InputError, match=r"one of the collection's 5, got 'x' \(1 unknown\)"):
        index.find_rows(["d1", "x"])


def test_an_index_of_no_texts_knows_no_id(tmp_path):
    index = index_of(tmp_path / "index", {})
    assert index.find_rows([]).tolist() == []
    with pytest.raises(InputError, match="one of the collection's 0, got 'x'"):
        index.find_rows(["x"])


def test_ids_whose_hashes_are_equal_are_told_apart(tmp_path, monkeypatch):
    def colliding(name, seed):
        return 7 if seed == 0 and name in ("d1", "d3") else hash_id(name, seed)

    monkeypatch.setattr(text_index, "hash_id", colliding)
    index = index_of(tmp_path / "index", {f"d{number}": text for number, text in enumerate(TEXTS)})
    assert index.seed == 1
    assert index.find_rows(["d3", "d1"]).tolist() == [3, 1]


def test_first_rows_are_those_of_a_dictionary():
    drawn = np.random.default_rng(0).integers(0, 4, (200, 2)).astype(np.uint64)
    first = {}
    expected = [first.setdefault(tuple(row), number) for number, row in enumerate(drawn.tolist())]
    assert find_firsts(drawn).tolist() == expected


def test_tokenizers_that_differ_in_what_they_add_share_tokens(tmp_path, tokenizer):
    folder = save_tiny(tmp_path / "other")
    same, cased = (AutoTokenizer.from_pretrained(folder, do_lower_case=c) for c in (True, False))
    ends = TemplateProcessing(single="$A [SEP]", special_tokens=[("[SEP]", 3)])
    same.backend_tokenizer.post_processor = ends
    same.backend_tokenizer.enable_truncation(5)
    assert digest_tokenizer(same) == digest_tokenizer(tokenizer)
    assert digest_tokenizer(cased) != digest_tokenizer(tokenizer)


def test_slow_tokenizers_that_differ_in_lower_casing_share_nothing(tmp_path, tokenizer):
    vocabulary = tmp_path / "vocab.txt"
    vocabulary.write_text("\n".join(sorted(tokenizer.get_vocab(), key=tokenizer.get_vocab().get)))
    lower, again, cased = (
        ProphetNetTokenizer(str(vocabulary), do_lower_case=lowers) for lowers in (True, True, False)
    )
    assert tokenize(lower, ["A Red Cat"]) != tokenize(cased, ["A Red Cat"])
    assert digest_tokenizer(lower) == digest_tokenizer(again)
    assert digest_tokenizer(lower) != digest_tokenizer(cased)


def test_a_slow_tokenizer_is_kept_as_it_tokenises(tmp_path):
    assert rows_of(written(tmp_path / "kept", TEXTS, slow := ByT5Tokenizer())) == tokenize(
        slow, TEXTS
    )


def test_a_tokenizer_that_learns_a_word_is_another(tokenizer):
    before = digest_tokenizer(tokenizer)
    tokenizer.add_tokens(["unheard-of"])
    assert digest_tokenizer(tokenizer) != before


def candidates_of(collection, depth=5):
    doc_ids = list(collection.documents)
    return Run.from_scores(
        "all",
        {
            query_id: {doc_ids[(place + n) % len(doc_ids)]: -float(n) for n in range(depth)}
            for place, query_id in enumerate(collection.queries)
        },
    )


@pytest.mark.usefixtures("every_collection_is_kept")
def test_kept_tokens_give_the_same_bytes_and_a_second_network_tokenises_nothing(
    tmp_path, tiny_bert, collection, monkeypatch
):
    run = candidates_of(collection)
    expected = CrossEncoder(str(tiny_bert), store=tmp_path / "none").rerank(run, unkept(collection))
    first = CrossEncoder(str(tiny_bert), store=tmp_path / "store").rerank(run, collection)
    assert first.rankings == expected.rankings
    checkpoint = str(save_tiny(tmp_path / "second", labels=1))
    second = CrossEncoder(checkpoint, store=tmp_path / "store")
    _ = second.engine  # its template, too, is read off the tokenizer
    encoder = BiEncoder(
        save_sentences(tmp_path / "first", "mean"), max_length=24, store=tmp_path / "store"
    )
    monkeypatch.setattr(tokenising, "tokenize", refuse)
    monkeypatch.setattr("recross.inference.texts.texts.tokenize", refuse)
    assert len(second.rerank(run, collection)) == len(run)
    assert len(encoder.retrieve(collection, list(collection.queries), 3)) == len(collection.queries)


def unkept(collection):
    """The same collection, of too few documents to be kept, however few they may be."""
    return replace(collection, documents=Small(collection.documents))


class Small(dict):
    def __len__(self):
        return 1


def refuse(_tokenizer, texts):
    assert not texts, f"nothing is to be tokenised, got {texts}"
    return []


@pytest.mark.usefixtures("every_collection_is_kept")
def test_few_documents_of_many_are_tokenised_alone(tmp_path, collection):
    texts = CollectionTexts(collection, tmp_path)
    few, _ = texts.documents(list(collection.documents)[:1])
    assert isinstance(few, GivenTexts)
    assert not list(tmp_path.iterdir())
    many, _ = texts.documents(list(collection.documents))
    assert isinstance(many, KeptTexts)
    few, numbers = texts.documents([list(collection.documents)[3]] * 2)
    assert isinstance(few, KeptTexts)
    assert few.strings() == [list(collection.documents.values())[3]]
    assert numbers.tolist() == [0, 0]


@pytest.mark.usefixtures("every_collection_is_kept")
def test_another_tokenizer_tokenises_all_only_where_many_are_asked_for(
    tmp_path, collection, tokenizer
):
    texts, ids = CollectionTexts(collection, tmp_path), list(collection.documents)
    every, _ = texts.documents(ids)  # indexed, and no tokenizer has been here
    few, _ = texts.documents(ids[:1])
    made = tmp_path / "token_ids"
    expected = tokenize(tokenizer, few.strings())
    assert rows_of(few.tokens(tokenizer)) == expected
    assert not made.exists()
    assert len(every.tokens(tokenizer)) == len(ids)
    assert made.exists()
    assert rows_of(few.tokens(tokenizer)) == expected


@pytest.mark.usefixtures("every_collection_is_kept")
def test_equal_documents_are_one_text_numbered_as_they_come_kept_or_not(tmp_path):
    """The same numbers make the same batches, and those the same last digits of scores."""
    documents = {"a": "an owl", "b": "a cat", "c": "an owl"}
    collection = Collection("c", documents, {"q": "cat"}, {}, {}, "fingerprint")
    kept, numbers = CollectionTexts(collection, tmp_path).documents(["c", "b", "a", "c"])
    given, given_numbers = CollectionTexts(collection).documents(["c", "b", "a", "c"])
    assert isinstance(kept, KeptTexts)
    assert list(kept.strings()) == list(given.strings()) == ["an owl", "a cat"]
    assert numbers.tolist() == given_numbers.tolist() == [0, 1, 0, 0]
    assert (kept.digests() == given.digests()).all()
    backwards, numbers = CollectionTexts(collection, tmp_path).documents(["b", "a"])
    assert list(backwards.strings()) == ["a cat", "an owl"]
    assert numbers.tolist() == [0, 1]
