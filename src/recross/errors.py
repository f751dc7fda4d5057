"""The errors whose message is all that a user needs: wrong input, and what stopped a run."""


class InputError(ValueError):
    """Wrong input; the message names the argument, the rule and the value it got."""


class RunError(RuntimeError):
    """What stopped a run whose input was right: a server, a budget. Its message says all."""
