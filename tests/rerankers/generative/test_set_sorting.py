import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recross.errors import InputError
from recross.rerankers.generative.set_sorting import BubbleSort, HeapSort


def slow_heap_sort(order, top, children, best_of):
    """The heap of the paper, node by node and in place, as one would write it down."""
    order = list(order)

    def sink(place, count):
        below = list(range(children * place + 1, min(children * place + children + 1, count)))
        if below:
            family = [place, *below]
            best = family[best_of([order[one] for one in family])]
            if best != place:
                order[place], order[best] = order[best], order[place]
                sink(best, count)

    for place in reversed(range(len(order))):
        sink(place, len(order))
    taken = []
    while order and len(taken) < top:
        taken.append(order[0])
        order[0] = order[-1]
        order.pop()
        if len(taken) < top:
            sink(0, len(order))
    return taken


def slow_bubble_sort(order, top, children, best_of):
    """Passes from the bottom in steps of ``children``, each asked anew."""
    order = list(order)
    for settled in range(min(top, len(order) - 1)):
        start = len(order) - children - 1
        while True:
            stop, first = start + children + 1, max(start, settled)
            best = first + best_of(order[first:stop])
            order[first], order[best] = order[best], order[first]
            if first == settled:
                break
            start -= children
    return order[:top]


def run(strategy, count, best_of):
    """What a strategy finds, and the sets it asked for, round by round."""
    rounds, sort = [], strategy.sort(count)
    try:
        sets = next(sort)
        while True:
            rounds.append(sets)
            sets = sort.send([best_of(one) for one in sets])
    except StopIteration as end:
        return end.value, rounds


SORTS = [(HeapSort, slow_heap_sort), (BubbleSort, slow_bubble_sort)]
SIZES = st.integers(0, 40), st.integers(1, 12), st.integers(1, 6)


@pytest.mark.parametrize("kind, slow", SORTS)
@given(*SIZES, st.integers(0, 9))
def test_the_best_are_those_of_a_slow_sort_even_if_answers_contradict(
    kind, slow, count, top, children, seed
):
    def best_of(places):  # of a set in an order always the same, and of no order of documents
        return zlib.crc32(f"{seed} {places}".encode()) % len(places)

    found, rounds = run(kind(top, children), count, best_of)
    asked = []

    def counted(places):
        asked.append(tuple(places))
        return best_of(places)

    assert found == slow(range(count), top, children, counted)
    sets = [tuple(one) for of_round in rounds for one in of_round]
    assert all(2 <= len(one) <= children + 1 for one in sets)
    assert sorted(sets) == sorted(asked if kind is HeapSort else set(asked))


@pytest.mark.parametrize("kind", [HeapSort, BubbleSort])
@given(st.permutations(range(20)), st.integers(1, 25), st.integers(1, 5))
def test_a_model_that_never_errs_finds_the_best_in_order(kind, hidden, top, children):
    def best_of(places):
        return max(range(len(places)), key=lambda place: hidden[places[place]])

    found, _ = run(kind(top, children), 20, best_of)
    assert [hidden[place] for place in found] == list(range(19, -1, -1))[:top]


def test_a_hundred_documents_in_their_order_are_few_comparisons():
    found, rounds = run(HeapSort(), 100, lambda _: 0)
    # the heap's levels from the bottom, then nine roots that have been exchanged
    assert [len(sets) for sets in rounds] == [20, 9, 3, 1, *[1] * 9]
    assert found[0] == 0
    found, rounds = run(BubbleSort(), 100, lambda _: 0)
    # one pass, and of the others what is not above a set that was asked about
    assert len(rounds) == 33 + 6
    assert found == list(range(10))


@pytest.mark.parametrize(
    "wrong, problem",
    [
        ({"top": 0}, "top must be at least 1, got 0"),
        ({"children": 0}, r"children must lie in \[1, 25\], got 0"),
        ({"children": 26}, r"children must lie in \[1, 25\], got 26"),
    ],
)
def test_wrong_arguments_are_refused(wrong, problem):
    for kind in (HeapSort, BubbleSort):
        with pytest.raises(InputError, match=problem):
            kind(**wrong)
