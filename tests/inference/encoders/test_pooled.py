import os
import threading
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import (
    Normalize,
    Pooling,
    Transformer,
)

from recross.checkpoints.sentence_layout import read_bi_encoder, with_choices
from recross.errors import InputError
from recross.inference.encoders import pooled
from recross.inference.encoders.pooled import PooledEncoder
from recross.machine.hardware import Hardware
from recross.retrieval.biencoder import BiEncoder
from recross.retrieval.sentence_encoder import load_encoder
from tests.conftest import save_tiny

TEXTS = [
    "a red cat lives here",
    "",
    "bee",
    "here lives a green owl and more words " * 20,  # longer than any limit below
    "a red cat lives here",
    "here lives a white eel and more words",
]


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    """Random encoders in sentence-transformers' layout, by kind and pooling, made when asked."""
    folder = tmp_path_factory.mktemp("encoders")

    def made(kind="bert", pooling="mean", *more):
        own = folder / "-".join([kind, pooling, *(type(module).__name__ for module in more)])
        if not own.is_dir():
            transformer = Transformer(str(save_tiny(folder / f"plain-{kind}", kind)))
            modules = [transformer, Pooling(32, pooling_mode=pooling), *more]
            SentenceTransformer(modules=modules, device="cpu").save(str(own))
        return own

    return made


def vectors(encoder, texts):
    return encoder.encode(texts, "document")


def load(folder, **chosen):
    contract = with_choices(read_bi_encoder(str(folder)), **chosen)
    return load_encoder(str(folder), contract, Hardware())


def theirs(folder, texts, max_length):
    peer = SentenceTransformer(str(folder), device="cpu")
    peer.max_seq_length = max_length
    return peer.encode(texts, normalize_embeddings=True, show_progress_bar=False)


@pytest.mark.parametrize("kind", ["bert", "electra", "roberta"])
@pytest.mark.parametrize("pooling", ["mean", "cls"])
@pytest.mark.parametrize("max_length", [8, 40])
def test_vectors_are_those_of_sentence_transformers(checkpoints, kind, pooling, max_length):
    folder = checkpoints(kind, pooling)
    encoder = BiEncoder(str(folder), max_length=max_length)
    assert isinstance(load(folder, max_length=max_length).network, PooledEncoder)
    found = encoder.encode(TEXTS, "document")
    assert np.abs(found - theirs(folder, TEXTS, max_length)).max() < 1e-5
    assert np.linalg.norm(found, axis=1) == pytest.approx(1, abs=1e-5)


def test_texts_are_cut_at_max_length(checkpoints):
    folder = str(checkpoints())
    short, whole = (vectors(BiEncoder(folder, max_length=size), TEXTS) for size in (8, 40))
    changed = np.abs(short - whole).max(axis=1) > 1e-3
    assert changed.tolist() == [False, False, False, True, False, True]


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_a_vector_does_not_depend_on_its_batch(checkpoints, pooling):
    folder = str(checkpoints("bert", pooling))
    together = vectors(BiEncoder(folder, max_length=40), TEXTS)
    alone = np.concatenate([vectors(BiEncoder(folder, max_length=40), [text]) for text in TEXTS])
    small = BiEncoder(folder, max_length=40, hardware=Hardware(tokens_per_batch=8)).encode(
        TEXTS, "document"
    )
    assert np.abs(together - alone).max() < 1e-6
    assert np.abs(together - small).max() < 1e-6
    assert (together[0] == together[4]).all()


@pytest.mark.parametrize("kind, positions", [("bert", 80), ("roberta", 79)])
def test_a_limit_beyond_the_encoders_positions_is_refused(checkpoints, kind, positions):
    folder = str(checkpoints(kind))
    assert len(vectors(BiEncoder(folder, max_length=positions), ["bee " * 100])) == 1
    with pytest.raises(InputError, match=f"must not exceed the {positions} positions of .*, got"):
        vectors(BiEncoder(folder, max_length=positions + 1), ["bee"])


def test_no_texts_give_no_vectors(checkpoints):
    assert len(vectors(BiEncoder(str(checkpoints()), max_length=40), [])) == 0


def test_a_normalisation_in_the_checkpoint_changes_nothing(checkpoints):
    normalised = checkpoints("bert", "mean", Normalize())
    plain = vectors(BiEncoder(str(checkpoints()), max_length=40), TEXTS)
    found = vectors(BiEncoder(str(normalised), max_length=40), TEXTS)
    assert np.abs(found - plain).max() < 1e-6


def test_weights_in_half_precision_are_computed_in_single(checkpoints, tmp_path):
    model = SentenceTransformer(str(checkpoints()), device="cpu").half()
    model.save(str(tmp_path / "half"))
    found = vectors(BiEncoder(str(tmp_path / "half"), max_length=40), TEXTS)
    model.float().max_seq_length = 40
    expected = model.encode(TEXTS, normalize_embeddings=True, show_progress_bar=False)
    assert np.abs(found - expected).max() < 1e-5


def test_bf16_moves_vectors_by_little_and_by_something(checkpoints, monkeypatch):
    monkeypatch.setattr(Hardware, "_multiplies_in_bf16", lambda _: True)
    folder = str(checkpoints())
    exact = vectors(BiEncoder(folder, max_length=40), TEXTS)
    hardware = Hardware(precision="bf16")
    half = vectors(BiEncoder(folder, max_length=40, hardware=hardware), TEXTS)
    cosines = (exact * half).sum(axis=1)
    assert cosines.min() > 0.995
    assert np.abs(exact - half).max() > 1e-5


def test_the_number_of_threads_is_that_of_the_hardware(checkpoints):
    before = torch.get_num_threads()
    try:
        BiEncoder(str(checkpoints()), max_length=40, hardware=Hardware(threads=2)).encode(
            ["bee"], "document"
        )
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_the_biencoder_refuses_bad_arguments():
    with pytest.raises(InputError, match="max_length must be at least 1, got 0"):
        BiEncoder("x", max_length=0)


@pytest.mark.parametrize(
    "error",
    [torch.OutOfMemoryError("CUDA out of memory"), RuntimeError("not enough memory: 8 bytes")],
    ids=["gpu", "processor"],
)
def test_a_batch_that_does_not_fit_in_memory_is_halved_and_gives_the_same_vectors(
    checkpoints, monkeypatch, error
):
    folder = str(checkpoints())
    expected = vectors(BiEncoder(folder, max_length=40), TEXTS)
    compute, tried = pooled.compute_vectors, []

    def limited(forward, contract, projections, batch):
        tried.append(len(batch))
        if len(batch) > 2:
            raise error
        return compute(forward, contract, projections, batch)

    monkeypatch.setattr(pooled, "compute_vectors", limited)
    os.utime(Path(folder) / "config.json")  # is loaded anew: the runner remembers what did not fit
    small = BiEncoder(folder, max_length=40)
    np.testing.assert_allclose(small.encode(TEXTS, "document"), expected, atol=1e-6)
    assert tried == [6, 3, 2, 1, 3, 2, 1]


def test_devices_share_the_encoding_of_a_collection(checkpoints, monkeypatch):
    folder = str(checkpoints())
    texts = [f"{text} {number}" for number in range(8) for text in TEXTS]
    one = Hardware(threads=1, tokens_per_batch=100)
    expected = vectors(BiEncoder(folder, max_length=40, hardware=one), texts)
    compute, threads, together = (
        pooled.compute_vectors,
        set(),
        threading.Barrier(2, timeout=120),
    )

    def meeting(*given):
        with suppress(threading.BrokenBarrierError):  # the last batch may be alone
            together.wait(timeout=120 if len(threads) < 2 else 0.1)
        threads.add(threading.get_ident())
        return compute(*given)

    monkeypatch.setattr(pooled, "compute_vectors", meeting)
    two = Hardware(threads=1, tokens_per_batch=100, devices=2)
    found = vectors(BiEncoder(folder, max_length=40, hardware=two), texts)
    np.testing.assert_array_equal(found, expected)
    assert len(threads) == 2
