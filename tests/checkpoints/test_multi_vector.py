"""What PyLate's and MultiVectorEncoder's settings say of texts."""

from recross.checkpoints.module_folder import read_modules
from recross.checkpoints.multi_vector import is_multi_vector, read_late_contract
from recross.checkpoints.pretrained import load_tokenizer
from tests.inference.late_interaction.multi_vector_folders import save_native, save_pylate


def read(folder, positions=80):
    chain = read_modules(str(folder))
    assert is_multi_vector(chain)
    return read_late_contract(chain, load_tokenizer(str(folder)), 16, positions)


def test_pylate_fills_queries_up_to_their_length_and_skips_punctuation(tmp_path):
    folder = save_pylate(tmp_path, skiplist_words="absent", query_length="absent")
    contract = read(folder)
    assert (contract.query_length, contract.filled_to, contract.document_length) == (32, None, 12)
    assert (contract.query_marker, contract.document_marker) == ("[unused0]", "[unused1]")
    assert set(contract.skiplist) == {".", ","}  # of all signs, those that the vocabulary has
    assert contract.normalises and not contract.skip_punctuation and not contract.attends_to_masks


def test_without_expansion_queries_are_as_long_as_they_are(tmp_path):
    contract = read(save_pylate(tmp_path, do_query_expansion=False))
    assert (contract.query_length, contract.filled_to) == (14, 0)


def test_a_prompt_follows_the_prefix_that_it_does_not_repeat(tmp_path):
    prompts = {"query": "[unused0]search: ", "passage": "read: "}
    contract = read(save_pylate(tmp_path, prompts=prompts))
    assert (contract.query_marker, contract.query_prompt) == ("[unused0]", "search: ")
    assert (contract.document_marker, contract.document_prompt) == ("[unused1]", "read: ")


def test_limits_that_nobody_names_are_those_of_tokenizer_and_positions(tmp_path):
    folder = save_native(tmp_path, prompts={"query": "search: "})
    contract = read(folder)
    assert (contract.query_length, contract.document_length) == (64, 64)  # the tokenizer's
    assert (contract.query_marker, contract.query_prompt) == ("", "search: ")
    assert read(folder, positions=50).document_length == 50


def test_a_least_length_is_not_the_limit(tmp_path):
    expansion = {"strategy": "min", "length": 7, "token": "cat", "attend": True}
    contract = read(save_native(tmp_path, query_expansion=expansion, query_length=11))
    assert (contract.query_length, contract.filled_to) == (11, 7)
    assert contract.filler == "cat" and contract.attends_to_masks
