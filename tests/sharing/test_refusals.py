"""What went wrong in another process is raised here as it was raised there."""

import pytest

from recross.errors import ConfigError, InputError, RunError
from recross.sharing.refusals import raise_refusal, say_refusal


def fail_with(error):
    def work():
        raise error

    return work


def test_nothing_is_said_and_raised_where_all_went_well():
    assert say_refusal(list) == {}
    raise_refusal({})


@pytest.mark.parametrize(
    "error, kind",
    [
        (InputError("depth must be 1"), InputError),
        (ConfigError(["depth must be 1"]), InputError),
        (RunError("depth must be 1"), RunError),
    ],
)
def test_a_refusal_is_raised_in_its_own_words(error, kind):
    with pytest.raises(kind, match="^depth must be 1$"):
        raise_refusal(say_refusal(fail_with(error)))


def test_whatever_else_goes_wrong_is_told_with_its_traceback():
    with pytest.raises(RuntimeError, match="a process that shares work: (?s:.*)KeyError: 'lost'"):
        raise_refusal(say_refusal(fail_with(KeyError("lost"))))
