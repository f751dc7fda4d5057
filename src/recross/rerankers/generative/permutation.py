"""How a listwise model's answer becomes an order, whatever it says."""

from __future__ import annotations

import re
import unicodedata
from typing import NamedTuple

THOUGHTS = re.compile(r"<think>.*?(</think>|\Z)", re.DOTALL)
THOUGHTS_ALREADY_BEGUN = re.compile(r"\A.*</think>", re.DOTALL)
ANSWER = re.compile(r"<answer>(.*?)(?:</answer>|\Z)", re.DOTALL)
BRACKETED = re.compile(r"\[[^\[\]\d]*(\d+)[^\[\]\d]*\]")
_NUMBER = re.compile(r"\d+")
LONGEST_NUMBER = 9


class Permutation(NamedTuple):
    """Places 0 to n - 1, best first, each once; ``malformed`` where the answer had to be mended."""

    order: tuple[int, ...]
    malformed: bool


def parse(answer: str, count: int) -> Permutation:
    """Read the order of ``count`` passages, numbered from 1, out of an answer.

    Thoughts are dropped; where something is marked as ``<answer>``, the last such is read alone.
    Where numbers stand in brackets only those are read, else all. Numbers of no passage and
    repetitions are dropped; passages not named follow in their present order.
    """
    text = read_marked(unicodedata.normalize("NFKC", answer))  # ２, ② and ² are digits
    numbers = BRACKETED.findall(text) or _NUMBER.findall(text)
    places = [int(digits) - 1 if len(digits) <= LONGEST_NUMBER else -1 for digits in numbers]
    named = list(dict.fromkeys(place for place in places if 0 <= place < count))
    missing = sorted(set(range(count)) - set(named))
    return Permutation((*named, *missing), malformed=len(places) != len(named) or bool(missing))


def read_marked(answer: str) -> str:
    """What a model says after thinking aloud; of that what it marks as ``<answer>``, if it does."""
    text = drop_thoughts(answer)
    marked: list[str] = ANSWER.findall(text)
    return marked[-1] if marked else text


def drop_thoughts(answer: str) -> str:
    """What a model says after thinking aloud, whether or not its prompt began the thoughts."""
    return THOUGHTS_ALREADY_BEGUN.sub("", THOUGHTS.sub("", answer))
