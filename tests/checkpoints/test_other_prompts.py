"""Prompts that a checkpoint may be asked by mistake, each once, read as its own contract says."""

from dataclasses import replace
from itertools import combinations

from recross.checkpoints.contracts import PromptContract
from recross.checkpoints.other_prompts import list_other_prompts
from recross.checkpoints.published import find_contract

OWN = PromptContract(
    "own",
    "<|im_start|>{{}} {instruction} query: {query} document: {document}<|im_end|>",
    "log_softmax",
    ("no", "yes"),
    add_eos=False,
    max_length=256,
    instruction="find",
)


def test_what_is_asked_changes_and_what_is_read_does_not():
    others = dict(list_other_prompts(OWN))
    read = {(c.pieces, c.read_out, c.max_length, c.temperature) for c in others.values()}
    assert read == {(OWN.pieces, OWN.read_out, 256, 1.0)}
    assert all(one != other for one, other in combinations([OWN, *others.values()], 2))
    texts = "{instruction} query: {query} document: {document}"
    templates = {asked: contract.template for asked, contract in others.items()}
    assert templates["no template at all"] == "{query}{document}"
    assert templates["its template without what stands before the texts"] == f"{texts}<|im_end|>"
    assert (
        templates["its template without what stands after the texts"]
        == f"<|im_start|>{{{{}}}} {texts}"
    )
    assert others["its template with an empty instruction"].instruction == ""
    assert templates["template of monot5"] == find_contract("monot5").template


def test_the_template_of_another_one_comes_with_what_belongs_to_it():
    found = dict(list_other_prompts(OWN))["template of qwen3-reranker"]
    known = find_contract("qwen3-reranker")
    assert (found.template, found.instruction) == (known.template, known.instruction)
    assert (found.prefix, found.suffix, found.add_eos) == ("", "", False)


def test_a_prompt_of_two_documents_is_asked_as_others_of_two():
    duo = dict(list_other_prompts(find_contract("duot5")))
    assert duo["no template at all"].template == "{query}{document0}{document1}"
    assert all(contract.compares for contract in duo.values())


def test_a_prompt_without_a_slot_for_an_instruction_has_no_empty_one():
    plain = replace(OWN, template="query: {query} document: {document}", instruction=None)
    assert "its template with an empty instruction" not in dict(list_other_prompts(plain))
