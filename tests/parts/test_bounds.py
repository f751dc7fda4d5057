"""A bound is declared once, in the signature, and kept from YAML and from Python."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import pytest

from recross.collections.files import BeirFolder
from recross.errors import InputError
from recross.parts.bounds import Below, Filled, Ge, Gt, Le, Lt, UpTo, checked, find_problems


@dataclass(frozen=True)
@checked
class Part:
    depth: Annotated[int, Ge(1)] = 100
    skip: Annotated[int, Ge(0)] = 0
    limit: Annotated[int, Ge(8)] | None = None
    rate: Annotated[float, Gt(0)] = 0.5
    share: Annotated[float, Ge(0), Lt(1)] = 0.0
    weight: Annotated[float, Gt(0), Le(1)] | None = None
    pooling: Literal["mean", "cls"] = "mean"
    index: Literal["Flat", "IVF"] | None = None
    names: tuple[str, ...] = ()
    folder: Path = Path("here")
    weights: Mapping[str, float] | None = None

    def __post_init__(self) -> None:
        if self.skip >= self.depth:
            raise InputError(f"skip must be below depth={self.depth}, got {self.skip}")


@pytest.mark.parametrize(
    "argument, value, rule",
    [
        ("depth", 0, "depth must be at least 1, got 0"),
        ("depth", "ten", "depth must be a whole number, got 'ten'"),
        ("depth", 1.5, "depth must be a whole number, got 1.5"),
        ("depth", True, "depth must be a whole number, got True"),
        ("depth", None, "depth must be a whole number, got None"),
        ("skip", -1, "skip must not be negative, got -1"),
        ("skip", 100, "skip must be below depth=100, got 100"),
        ("limit", 7, "limit must be at least 8, got 7"),
        ("limit", "x", "limit must be a whole number or null, got 'x'"),
        ("rate", 0, "rate must be positive, got 0"),
        ("rate", float("nan"), "rate must be a finite number, got nan"),
        ("rate", float("inf"), "rate must be a finite number, got inf"),
        ("share", 1.0, "share must lie in [0, 1), got 1.0"),
        ("weight", 0.0, "weight must lie in (0, 1], got 0.0"),
        ("pooling", "max", "pooling must be mean or cls, got 'max'"),
        ("index", "Tree", "index must be Flat, IVF or null, got 'Tree'"),
        ("names", ("a", 1), "names[1] must be a string, got 1"),
    ],
)
def test_an_argument_beyond_its_bounds_is_one_error(argument, value, rule):
    with pytest.raises(InputError) as error:
        Part(**{argument: value})
    assert str(error.value) == rule


@dataclass(frozen=True)
@checked
class Window:
    stages: Annotated[Mapping[str, object], Filled("hold at least one stage")]
    size: Annotated[int, Ge(2)] = 20
    step: Annotated[int, Ge(1), UpTo("size")] = 10
    skip: Annotated[float, Gt(0), Below("size")] | None = None


@pytest.mark.parametrize(
    "arguments, rule",
    [
        ({"stages": {}}, "stages must hold at least one stage, got none"),
        ({"step": 21}, "step must lie in [1, size=20], got 21"),
        ({"size": 5}, "step must lie in [1, size=5], got 10"),
        ({"skip": 20}, "skip must lie in (0, size=20), got 20"),
        ({"skip": 0}, "skip must be positive, got 0"),
        ({"size": 1, "step": 2}, "size must be at least 2, got 1"),
    ],
)
def test_bounds_by_other_arguments_and_of_collections_are_declared_too(arguments, rule):
    with pytest.raises(InputError) as error:
        Window(**{"stages": {"one": object()}} | arguments)
    assert str(error.value) == rule
    assert Window({"one": object()}, size=20, step=20, skip=19).step == 20


def test_what_keeps_its_bounds_is_made_as_it_was_given():
    part = Part(1, 0, 8, 2, 0.5, 1.0, "cls", "IVF", ("a",), Path("x"), {"a": 1.0})
    assert (part.depth, part.limit, part.rate, part.weights) == (1, 8, 2, {"a": 1.0})


def test_a_path_may_be_written_as_text():
    assert Part(folder="mine") == Part(folder=Path("mine"))
    assert Part(folder="mine").folder.name == "mine"
    assert Part(names=("mine",)).names == ("mine",)
    assert BeirFolder(str(Path("mine"))).folder == Path("mine")


def test_a_class_made_from_a_checked_one_is_checked_too():
    @dataclass(frozen=True)
    class More(Part):
        more: Annotated[int, Ge(2)] = 2

    with pytest.raises(InputError, match=r"^more must be at least 2, got 1$"):
        More(more=1)
    with pytest.raises(InputError, match=r"^depth must be at least 1, got 0$"):
        More(depth=0)


def test_where_in_a_mapping_a_value_is_wrong_is_said():
    assert next(find_problems(Mapping[str, float], {"a": "x"}))[0] == ".a"


def test_a_checked_class_keeps_the_rules_that_it_inherits():
    @dataclass(frozen=True)
    @checked
    class More(Part):
        more: Annotated[int, Ge(2)] = 2

    with pytest.raises(InputError, match=r"^more must be at least 2, got 1$"):
        More(more=1)
    with pytest.raises(InputError, match=r"^skip must be below depth=100, got 100$"):
        More(skip=100)
