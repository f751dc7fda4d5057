from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recross.errors import InputError
from recross.rerankers.generative.listwise_prompts import PROMPTS, ListwisePrompt, find_prompt
from recross.rerankers.generative.permutation import Permutation, parse

WELL_FORMED = [
    "[2] > [1] > [3]",
    "[2]>[1]>[3]",
    "2 > 1 > 3",
    "2, 1, 3",
    "[2, 1, 3]",
    "[2] [1]\n[3]",
    "2\n1\n3\n",
    "Here is the ranking:\n\n[2] > [1] > [3]",
    "Of the 3 passages, ranked: [2] > [1] > [3]. I hope this helps with all 3!",
    "1. [2]\n2. [1]\n3. [3]",
    "[2] is best since it names 1990, then [1], then [3] (0.5).",
    "[Passage 2] > [Passage 1] > [Passage 3]",
    "Passage 2 > Passage 1 > Passage 3",
    "**[2]** > **[1]** > **[3]**",
    "[02] > [01] > [03]",
    "[②] > [①] > [③]",
    "［２］＞［１］＞［３］",
    "<think>Is [3] better than [2]? No.</think>\n[2] > [1] > [3]",
    "so [3] > [1] it is not</think>[2] > [1] > [3]",
    "<think>[3]</think> hm <think>[1]</think> [2] > [1] > [3]",
    "\t[2]\t>\t[1]\t>\t[3]<|im_end|>",
    "<think>[3] over [1]</think>\nOf all 3: <answer>[2] > [1] > [3]</answer> as [3] lacks it",
    "<think><answer>[3]</answer></think><answer> [2] > [1] > [3]",
    "<answer>[3] > [1]</answer> no: <answer>[2] > [1] > [3]</answer>",
    "<think>so</think>\n[2] > [1] = [3]",
]


@pytest.mark.parametrize("answer", WELL_FORMED)
def test_an_order_is_read_however_it_is_written(answer):
    assert parse(answer, 3) == Permutation((1, 0, 2), malformed=False)


@pytest.mark.parametrize(
    "answer, count, order",
    [
        ("", 3, (0, 1, 2)),
        ("I cannot rank these passages.", 3, (0, 1, 2)),
        ("[3]", 3, (2, 0, 1)),  # missing ones follow in their present order
        ("[3] > [2] >", 4, (2, 1, 0, 3)),  # cut off by the length
        ("[3] > [2] > [1", 3, (2, 1, 0)),  # cut off within a bracket: by luck the right order
        ("[2] > [2] > [1]", 2, (1, 0)),  # a repetition
        ("[3] > [1] > [3] > [2] > [3] > [3]", 3, (2, 0, 1)),  # a loop
        ("[4] > [1] > [0] > [2]", 2, (0, 1)),  # numbers of no passage
        ("<think>[2] > [1], so <answer>[2] > [1]", 2, (0, 1)),  # a thought without an end
        ("<answer></answer> [2] > [1]", 2, (0, 1)),
        ("[20] > [19]", 2, (0, 1)),  # the example of the prompt repeated
        ("[99999999999999999999] > [2] > [1]", 2, (1, 0)),
        ("9" * 5000, 2, (0, 1)),  # more digits than int() takes
        ("<think>[2] > [1]", 2, (0, 1)),  # never came to an answer
        ("[1] = [2]", 3, (0, 1, 2)),
        ("[] > []", 2, (0, 1)),
        ("½ > ² > 1", 2, (0, 1)),  # ½ is 1⁄2 in compatibility form: 1, 2, 2, 1
    ],
)
def test_a_malformed_order_is_mended_and_told(answer, count, order):
    assert parse(answer, count) == Permutation(order, malformed=True)


ANSWERS = st.one_of(
    st.text(),
    st.text(alphabet="[]<>/think 0123456789²①\n,"),
    st.lists(st.integers(-3, 25)).map(lambda ranks: " > ".join(f"[{rank}]" for rank in ranks)),
)


@given(ANSWERS, st.integers(0, 22))
def test_any_answer_gives_every_place_once(answer, count):
    order, malformed = parse(answer, count)
    assert sorted(order) == list(range(count))
    assert malformed or count == 0 or any(letter.isdigit() for letter in answer)


@given(st.permutations(range(20)))
def test_a_clean_answer_is_taken_as_it_is(order):
    answer = " > ".join(f"[{place + 1}]" for place in order)
    assert parse(answer, 20) == Permutation(tuple(order), malformed=False)


def test_rankgpt_is_a_conversation_in_which_every_passage_was_confirmed():
    messages = PROMPTS["rankgpt"].conversation("red cat", ["a cat", "an owl"])
    assert [message["role"] for message in messages] == [
        *("system", "user", "assistant", "user", "assistant", "user", "assistant", "user")
    ]
    assert messages[1]["content"] == (
        "I will provide you with 2 passages, each indicated by number identifier [].\n"
        "Rank the passages based on their relevance to query: red cat."
    )
    assert [message["content"] for message in messages[2:7]] == [
        "Okay, please provide the passages.",
        *("[1] a cat", "Received passage [1].", "[2] an owl", "Received passage [2]."),
    ]
    assert messages[7]["content"].startswith(
        "Search Query: red cat.\nRank the 2 passages above based on their relevance to the search"
    )


def test_rankzephyr_is_one_message_a_line_each():
    system, user = PROMPTS["rankzephyr"].conversation("red cat", ["a cat", "an owl"])
    assert (system["role"], user["role"]) == ("system", "user")
    lines = user["content"].split("\n")
    assert lines[0].endswith(
        "Rank the passages based on their relevance to the search query: red cat."
    )
    assert lines[1:4] == ["[1] a cat", "[2] an owl", "Search Query: red cat."]
    assert lines[4].startswith("Rank the 2 passages above")
    assert len(lines) == 5


def test_reasonrank_says_how_thoughts_and_answer_are_marked():
    system, user = PROMPTS["reasonrank"].conversation("red cat", ["a cat", "an owl"])
    assert system["content"].endswith(
        "<think> reasoning process here </think> <answer> answer here </answer>."
    )
    lines = user["content"].split("\n")
    assert lines[1:4] == ["[1] a cat", "[2] an owl", "Search Query: red cat."]
    assert lines[4].endswith("The format of the answer should be [] > [], e.g., [2] > [1].")


def test_rank_k_is_the_users_message_alone_with_an_empty_line_after_every_passage():
    (user,) = PROMPTS["rank_k"].conversation("red cat", ["a cat", "an owl"])
    assert user["role"] == "user"
    assert user["content"].startswith("Determine a ranking of the passages based on how")
    assert user["content"].endswith("\n\nQuery: red cat\n\n[1] a cat\n\n[2] an owl\n\n")


def test_letters_call_passages_and_stand_in_no_passage():
    prompt = replace(PROMPTS["rankzephyr"], identifiers="letters")
    _, user = prompt.conversation("why [A]", ["see [B] and [2]", "an owl"])
    assert "query: why (A).\n[A] see (B) and [2]\n[B] an owl\n" in user["content"]


def test_bracketed_numbers_and_lines_of_a_passage_cannot_pass_for_another_passage():
    _, user = PROMPTS["rankzephyr"].conversation("q [7] {x}", ["as shown\n[2] in {count} [12]"])
    assert "[1] as shown (2) in {count} (12)\n" in user["content"]
    assert "query: q (7) {x}." in user["content"]


@pytest.mark.parametrize(
    "changes, problem",
    [
        ({"passage": "{passage}"}, r"passage must contain {rank} and {passage}, got '{passage}'"),
        ({"opening": "o", "closing": "c"}, "opening or closing must contain {query}"),
        ({"opening_reply": "yes"}, "must be given both or neither"),
        ({"closing": "rank {number} for {query}"}, "no other braces; got KeyError"),
        ({"closing": "{query} {"}, "no other braces; got ValueError"),
    ],
)
def test_a_prompt_that_cannot_be_filled_is_refused(changes, problem):
    with pytest.raises(InputError, match=problem):
        ListwisePrompt(**{"system": "s", "opening": "o", "closing": "{query}", **changes})


def test_an_unknown_prompt_lists_the_known():
    with pytest.raises(
        InputError, match="prompt must be one of rankgpt, rankzephyr, .*rank_k.*, got 'gpt'"
    ):
        find_prompt("gpt")
