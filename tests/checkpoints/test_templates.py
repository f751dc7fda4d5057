"""What a template of a prompt must hold."""

import pytest

from recross.checkpoints.contracts import PromptContract
from recross.checkpoints.templates import escape_braces, list_slots, split_template
from recross.errors import InputError


def test_fixed_texts_and_slots_are_told_apart_and_braces_are_doubled():
    parts = list(split_template("a {{b}} {query}{}{document} {{"))
    assert parts == [("a {b} ", "query"), ("", ""), ("", "document"), (" {", None)]
    assert list_slots("{document}{}{query}") == ["document", "query"]
    text = "{query} {{x}} }{"
    assert "".join(part.fixed for part in split_template(escape_braces(text))) == text


@pytest.mark.parametrize(
    "template, message",
    [
        ("no slots", "template must hold {query} and {document}"),
        ("{query}", "template must hold"),
        ("{document} {document} {query}", "template must hold"),
        ("{query} {query} {document}", "template must hold"),
        ("{query} {document0}", "template must hold"),
        ("{query} {document} {document1}", "template must hold"),
        ("{query} {document} {answer}", "template must hold"),
        ("{query} {document} {instruction} {instruction}", "template must hold"),
        ("{query} {document:5}", "plain names"),
        ("{query!r} {document}", "plain names"),
        ("{query} {document} {", "must double the braces"),
        ("{query} {document} }", "must double the braces"),
        ("{query} {document} {instruction}", "instruction must be given for the slot"),
    ],
)
def test_a_template_that_does_not_hold_its_texts_once_is_refused(template, message):
    for given in (
        {"template": template},
        {"template": "{query}{document}", "instructed": template},
    ):
        if "instructed" in given and "instruction must" in message:
            continue
        with pytest.raises(InputError, match=message):
            PromptContract("own", **given, read_out="logit", pieces=("a",))


def test_an_instruction_without_a_place_is_refused():
    contract = PromptContract("own", "{query}{document}", "logit", ("a",))
    with pytest.raises(InputError, match="instruction must be null for the contract 'own'"):
        contract.with_instruction("be kind")


@pytest.mark.parametrize(
    "read_out, pieces, message",
    [
        ("logit", ("a", "b"), "pieces must be 1 for"),
        ("margin", ("a",), "pieces must be 2 for"),
        ("margin", ("a", "b", "c"), "pieces must be 2 for"),
        ("sigmoid", ("a", "b", "c"), "pieces must be 0 to 2 for"),
        ("log_softmax", ("a",), "pieces must be 2 or more for"),
        ("head", ("a",), "pieces must be 0 for"),
    ],
)
def test_a_read_out_says_how_many_pieces_it_reads(read_out, pieces, message):
    with pytest.raises(InputError, match=message):
        PromptContract("own", "{query}{document}", read_out, pieces)
