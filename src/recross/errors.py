"""The one error that means: what the user asked for cannot be done as asked."""


class InputError(ValueError):
    """Wrong input; the message names the argument, the rule and the value it got."""
