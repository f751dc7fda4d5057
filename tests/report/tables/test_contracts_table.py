"""The table of contracts: a line for each, and no cell that a reader takes for another."""

import re

from recross.checkpoints.published import PUBLISHED
from recross.report.tables.contracts_table import HEADER, format_contracts, wrap_contracts


def test_every_published_checkpoint_is_in_a_table_of_equal_columns():
    table = format_contracts({"cross-encoder/ms-marco-MiniLM-L6-v2": ["minilm_l6"]})
    lines = table.splitlines()
    assert {len(re.split(r"(?<!\\)\|", line)) for line in lines} == {len(HEADER) + 2}
    assert all(f"`{spelling}`" in table for record in PUBLISHED for spelling in record.ids)
    (line,) = [line for line in lines if "`minilm_l6`" in line]
    assert "`cross-encoder/ms-marco-MiniLM-L6-v2`" in line


def test_what_is_told_of_a_contract_in_words_is_no_command_of_markdown():
    told = re.findall(r"(?<!\\)<(?!br>)\w+", re.sub(r"`[^`]*`", "", format_contracts({})))
    assert told == []


def test_a_terminal_gets_lines_that_fit_and_nothing_less():
    options = {"cross-encoder/ms-marco-MiniLM-L6-v2": ["minilm_l6"]}
    text = wrap_contracts(options, 72)
    ids = [spelling for record in PUBLISHED for spelling in record.ids]
    told = [line for line in text.splitlines() if line not in ids]
    assert max(map(len, told)) <= 72 < max(map(len, format_contracts(options).splitlines()))
    assert sorted(set(text.splitlines()) & set(ids)) == sorted(set(ids))
    assert "\n  option: minilm_l6\n" in text
    joined = "".join(text.split())
    parts = [part for record in PUBLISHED for part in record.contract.summary]
    lost = [part for part in parts if "".join(part.replace("\n", "⏎").split()) not in joined]
    assert lost == []
