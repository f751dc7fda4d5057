"""Numbers as papers print them."""

from __future__ import annotations

LEAST_P_VALUE = 0.0001


def format_p_value(p_value: float) -> str:
    """Four digits without the zero before them, ``.0312``; what is smaller is ``< .0001``."""
    if p_value < LEAST_P_VALUE:
        return f"< {LEAST_P_VALUE:.4f}".replace("0.", ".")
    return f"{p_value:.4f}".removeprefix("0")


def relate_p_value(p_value: float) -> str:
    """What stands behind a p: ``= .0312`` or ``< .0001``."""
    text = format_p_value(p_value)
    return text if text.startswith("<") else f"= {text}"
