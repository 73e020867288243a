"""Pages of keys and values: taken, shared, given back, and what stands in them."""

from __future__ import annotations

import random

import numpy as np
import pytest

from gptcli.engine.state.page_memory import NO_PAGE, NoPagesError, gathered
from gptcli.engine.state.pages import PagedRow, PagePool
from tests.engine.helpers import runner_of

SHAPES = runner_of("llama/tied").spec.shapes


def pool(most: int = 8, size: int = 4) -> PagePool:
    return PagePool(SHAPES, np.empty(0, np.float32), most, size)


def filled(pool: PagePool, ids: list[int]) -> PagedRow:
    """A row of these ids, each of whose keys is its id."""
    row = pool.begin(ids[: len(ids) // pool.size * pool.size])
    for at in range(row.length, len(ids)):
        if at == len(row.pages) * pool.size:
            try:
                row.pages.append(pool.take())
            except NoPagesError:
                pool.give(row)
                raise
        for layer in pool.layers:
            layer.keys[row.pages[-1], :, at % pool.size] = ids[at]
    known = row.length // pool.size
    row.length = len(ids)
    pool.remember(row, ids, known)
    return row


def keys(pool: PagePool, row: PagedRow) -> list[int]:
    table = np.array([row.pages], np.int32)
    return gathered(pool.layers[-1].keys, table, row.length)[0, 0, :, 0].astype(int).tolist()


def test_what_is_known_is_shared_and_stays_until_its_memory_is_wanted():
    """Catches a page that is computed twice, given back twice, or lost while a row has it."""
    some = pool(most=4)
    ids = list(range(1, 11))
    first = filled(some, ids)
    second = filled(some, [*ids[:8], 99])
    assert second.pages[:2] == first.pages[:2] and some.left == 0
    assert keys(some, first) == ids and keys(some, second) == [*ids[:8], 99]
    with pytest.raises(NoPagesError):
        some.take()
    some.give(first)
    assert some.left == 1 and keys(some, second) == [*ids[:8], 99]
    some.give(second)
    # The two whole pages are known still; of those that nobody holds, the last one goes first.
    assert some.known(ids) == 8 and some.left == 4
    taken = [some.take() for _ in range(3)]
    assert NO_PAGE not in taken and some.known(ids) == 4


def test_pages_are_zeros_when_they_are_taken_again():
    """Catches what another row left: a NaN behind a row's end would poison what it sums."""
    some = pool(most=1)
    row = PagedRow([some.take()], 4)
    for layer in some.layers:
        layer.keys[row.pages[0]] = layer.values[row.pages[0]] = np.nan
    some.give(row)
    page = some.take()
    for layer in some.layers:
        assert not layer.keys[page].any() and not layer.values[page].any()


def test_a_copy_goes_on_by_itself():
    """Catches two rows that write into one page."""
    some = pool()
    row = filled(some, [1, 2, 3, 4, 5])
    other = some.copy(row)
    assert other.pages[0] == row.pages[0] and other.pages[1] != row.pages[1]
    for layer in some.layers:
        layer.keys[other.pages[1], :, 1] = 7
    other.length = 6
    assert keys(some, row) == [1, 2, 3, 4, 5] and keys(some, other) == [1, 2, 3, 4, 5, 7]
    some.give(row)
    some.give(other)
    assert some.left == 8


def test_any_order_of_rows_keeps_each_as_it_is():
    """Catches counts that drift: a page of two rows, or one that nobody can have any more."""
    chance = random.Random(5)
    some = pool(most=24)
    held: list[tuple[PagedRow, list[int]]] = []
    for _ in range(600):
        if held and chance.random() < 0.5:
            row, _ = held.pop(chance.randrange(len(held)))
            some.give(row)
        else:
            ids = [chance.randrange(2) + 1 for _ in range(chance.randrange(1, 14))]
            try:
                held.append((filled(some, ids), ids))
            except NoPagesError:
                row, _ = held.pop()
                some.give(row)
        for row, ids in held:
            assert keys(some, row) == ids
        used = {page for row, _ in held for page in row.pages}
        assert some.left == 24 - len(used) and NO_PAGE not in used


def test_few_pages_that_nobody_has_stay():
    """Catches a process that comes to hold all the memory it may, though one row runs at a time."""
    pages = PagePool(SHAPES, np.empty(0, np.float32), 100, 4, idle=3)
    for first in range(0, 400, 8):
        ids = list(range(first, first + 8))
        row = filled(pages, ids)
        pages.give(row)
        assert pages.known(ids) == 8
    assert pages.made <= 17
    # The beginning of a text stays for longer than its end.
    assert pages.known(list(range(384, 392))) == 4
