"""Parts are replaced wherever they stand, and what holds none of them stays the same object."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from recross.parts.rebuilding import rebuild


@dataclass(frozen=True)
class Leaf:
    number: int


@dataclass(frozen=True)
class Branch:
    one: Leaf
    more: tuple[Leaf, ...] = ()
    named: Mapping[str, object] | None = None


def grow(found):
    return replace(found, number=9) if isinstance(found, Leaf) and found.number == 1 else found


def test_parts_are_replaced_in_fields_tuples_and_mappings():
    tree = Branch(Leaf(1), (Leaf(2), Leaf(1)), {"deep": Branch(Leaf(1)), "word": "x"})
    grown = Branch(Leaf(9), (Leaf(2), Leaf(9)), {"deep": Branch(Leaf(9)), "word": "x"})
    assert rebuild(tree, grow) == grown


def test_what_holds_nothing_to_replace_stays_the_same_object():
    tree = Branch(Leaf(2), (Leaf(3),), {"deep": Branch(Leaf(4))})
    assert rebuild(tree, grow) is tree


def test_what_was_put_in_is_looked_into_and_what_was_taken_out_is_not():
    seen = []

    def unwrap(found):
        seen.append(found)
        return Branch(Leaf(5)) if found == Branch(Leaf(1)) else found

    assert rebuild({"a": Branch(Leaf(1))}, unwrap) == {"a": Branch(Leaf(5))}
    assert seen == [Branch(Leaf(1)), Leaf(5)]
