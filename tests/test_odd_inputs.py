"""Every odd input gets its right answer: the value a user of the field expects, or one refusal."""

import importlib
import pkgutil

import pytest

from recross.errors import InputError
from tests import odd_inputs
from tests.odd_inputs.odd_input import OddInput, Refusal

EVERY: list[OddInput] = [
    odd
    for module in pkgutil.iter_modules(odd_inputs.__path__)
    for odd in getattr(
        importlib.import_module(f"{odd_inputs.__name__}.{module.name}"), "ODD_INPUTS", ()
    )
]


def test_no_two_odd_inputs_share_a_name():
    names = [odd.name for odd in EVERY]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("odd", EVERY, ids=[odd.name for odd in EVERY])
def test_right_answer(odd, tmp_path):
    if not isinstance(odd.answer, Refusal):
        assert odd.act(tmp_path) == odd.answer
        return
    with pytest.raises(InputError) as raised:
        odd.act(tmp_path)
    assert [text for text in odd.answer.says if text not in str(raised.value)] == []
