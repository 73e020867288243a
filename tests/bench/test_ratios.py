"""Rounds, ratios and the table of the peers' benchmark, on figures that are given."""

from __future__ import annotations

import os

import pytest

from tests.bench.peers import rounds, table
from tests.bench.peers.best import BEST
from tests.bench.peers.cases import OURS, Case, Comparison, MeasureError, Side
from tests.bench.peers.plan import Wish, cases, too_deep
from tests.bench.peers.quiet import Watch, watch
from tests.bench.peers.ratios import median, ratio
from tests.bench.peers.targets import target


class Script:
    """A side whose figures are given, None for one that fails; `calls` is who was asked when."""

    def __init__(self, name: str, figures: list[float | None], calls: list[str]) -> None:
        self.name, self.figures, self.calls = name, iter(figures), calls

    def __call__(self) -> float:
        self.calls.append(self.name)
        figure = next(self.figures)
        if figure is None:
            raise MeasureError("it fell over")
        return figure


def compared(
    mine: list[float | None], theirs: list[float | None], case: Case | None = None
) -> tuple[Comparison, list[str]]:
    calls: list[str] = []
    one, other = Script(OURS, mine, calls), Script("llama.cpp", theirs, calls)
    case = case or Case("decode", "int8", 2, 16)
    return Comparison(case, Side(OURS, one), (Side("llama.cpp", other),)), calls


def test_sides_take_turns_in_every_round():
    """Catches all of one side first: what a busy hour does would then fall on one of them."""
    comparison, calls = compared([1, 2, 3], [4, 5, 6])
    figures = list(rounds.run([comparison], 3))
    assert calls == [OURS, "llama.cpp"] * 3
    assert [figure.value for figure in figures] == [1, 4, 2, 5, 3, 6]
    assert [figure.round for figure in figures] == [1, 1, 2, 2, 3, 3]


def test_a_failure_costs_its_own_figure_only():
    """Catches rounds that shift against each other, and a run that one failure ends."""
    comparison, _ = compared([1, None, 3], [4, 5, 6])
    figures = list(rounds.run([comparison], 3))
    assert [figure.failure for figure in figures] == [None, None, "it fell over", None, None, None]
    (found,) = rounds.collect(figures)
    assert found.values == {OURS: [1, None, 3], "llama.cpp": [4, 5, 6]}
    ((row, _),) = table.rows("smollm2", [found])
    assert row.ratio is not None and row.ratio.rounds == 2
    assert row.ratio.median == pytest.approx((1 / 4 + 3 / 6) / 2)


def test_rounds_that_were_broken_off_keep_what_they_reached():
    """Catches a half round that is paired with the one before, or that cannot be shown at all."""
    comparison, _ = compared([1, 2], [4, 5])
    other, _ = compared([7, 8], [9, 9])
    figures = list(rounds.run([comparison, other], 2))
    (found,) = rounds.collect(figures[:1])
    assert found.values == {OURS: [1], "llama.cpp": [None]}
    ((row, _),) = table.rows("smollm2", [found])
    assert row.ratio is None and row.met is None and "failed" in table.markdown([row])
    first, second = rounds.collect(figures[:5])
    assert first.values == {OURS: [1, 2], "llama.cpp": [4, None]}
    assert second.values == {OURS: [7], "llama.cpp": [9]}


def test_the_ratio_is_the_median_of_the_rounds_ratios():
    """Catches the ratio of the medians, which pairs figures of different rounds."""
    found = ratio([10.0, 40.0, 90.0], [10.0, 10.0, 100.0])
    assert found is not None
    assert (found.median, found.least, found.most, found.rounds) == (1.0, 0.9, 4.0, 3)
    assert ratio([None, 2.0], [1.0, None]) is None
    assert median([None, 3.0, 1.0]) == 2.0 and median([None]) is None


def test_targets_bind_the_way_they_are_meant():
    """Catches a bound of seconds that is read as one of rates, and a target of another case."""
    decode = target("smollm2", Case("decode", "int4", 2, 16), "llama.cpp")
    assert decode is not None and str(decode) == "≥ 1.45"
    assert decode.met(1.45) and not decode.met(1.44)
    start = target("smollm2", Case("start", "bfloat16", 2), "llama.cpp")
    assert start is not None and str(start) == "≤ 1.3"
    assert start.met(1.3) and not start.met(1.31)
    warm = target("smollm2", Case("warm", "bfloat16", 2), "llama.cpp")
    assert warm is not None and str(warm) == "≤ 0.6"
    assert target("smollm2", Case("decode", "int4", 2, 16), "openvino") is None
    wide = target("smollm2", Case("decode", "int4", 2, 16), "llama.cpp", avx512=True)
    deep = target("smollm2", Case("decode", "int4", 2, 1000), "llama.cpp", avx512=True)
    assert (str(wide), str(deep)) == ("≥ 1.8", "≥ 2.3")
    for measure, other, least in (("prefill", "llama.cpp", 1.8), ("batch", BEST, 1.05)):
        assert str(target("smollm2", Case(measure, "Q8_0", 2), other)) == f"≥ {least}"
    assert target("smollm2", Case("prefill", "int4", 2), "openvino") is None
    assert target("gpt2-124m", Case("decode", "int4", 1, 16), "llama.cpp") is None
    assert target("llama-1b", Case("start", "int4", 2), "llama.cpp") is None


def test_the_table_says_what_falls_short():
    """Catches a mark at the wrong row, and figures in other units than their column says."""
    shown = []
    for case, mine, theirs in (
        (Case("decode", "int8", 2, 16), 150.0, 100.0),
        (Case("decode", "int8", 2, 1000), 150.0, 100.0),
        (Case("start", "int8", 2), 0.3, 0.25),
        (Case("memory", "int8", 2), 2.0**20 * 300, 2.0**20 * 200),
    ):
        (found,) = rounds.collect(list(rounds.run([compared([mine], [theirs], case)[0]], 1)))
        shown += [row for row, _ in table.rows("smollm2", [found])]
    lines = table.markdown(shown).splitlines()
    assert len({len(line) for line in lines}) == 1
    assert [table.SHORT in line for line in lines] == [False, False, False, True, False, False]
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]
    assert cells[2] == [
        *("decode at 16", "int8", "2", "150.0 tok/s", "llama.cpp", "100.0 tok/s"),
        *("1.50", "1.50–1.50", "≥ 1.4", ""),
    ]
    assert cells[4][3:9] == ["0.30 s", "llama.cpp", "0.25 s", "1.20", "1.20–1.20", "≤ 1.3"]
    assert cells[5][3:7] == ["300 MiB", "llama.cpp", "200 MiB", "1.50"]


def test_what_would_end_too_late_does_not_begin():
    """Catches five minutes that become six: the last round is as long as the one before."""
    now = iter([0.0, 0.0, 100.0, 100.0, 130.0, 130.0, 230.0, 230.0, 260.0, 260.0])
    one, _ = compared([1, 2, 3], [4, 5, 6])
    other, _ = compared([7, 8, 9], [1, 1, 1])
    # Rounds of 100 and of 30 seconds: a third one would end its first comparison after 360.
    figures = list(rounds.run([one, other], 3, 359.0, lambda: next(now)))
    assert [figure.value for figure in figures] == [1, 4, 7, 1, 2, 5, 8, 1]
    assert list(rounds.run([one], 1, -1.0)) == []
    # What was never measured may take as long as the longest so far.
    now = iter([0.0, 0.0, 100.0, 100.0])
    both = [compared([1], [4])[0], other]
    assert [each.value for each in rounds.run(both, 1, 199.0, lambda: next(now))] == [1, 4]


def test_the_best_of_a_peer_is_that_of_each_round():
    """Catches a best of other rounds, another measure's or of our own, and one of failures."""
    script = {
        "float32": ([10.0, 20.0], [8.0, 30.0]),
        "int4": ([15.0, 15.0], [20.0, None]),
    }
    plan = []
    for measure in ("prefill", "decode"):
        for dtype, (mine, theirs) in script.items():
            (one, _) = compared(list(mine), list(theirs), Case(measure, dtype, 2))
            other = Side("openvino", one.others[0].measure)
            plan.append(Comparison(one.case, one.ours, (other,)))
    found = rounds.collect(list(rounds.run(plan, 2)))
    written = {
        (row.case.measure, row.case.dtype): (row, row.as_json(figures))
        for row, figures in table.rows("smollm2", found)
        if row.other == BEST
    }
    assert [*written] == [("prefill", "float32"), ("prefill", "int4")]
    row, told = written["prefill", "float32"]
    assert told["rounds"] == {OURS: [10.0, 20.0], BEST: [20.0, 30.0]}
    assert row.ratio is not None and row.ratio.median == pytest.approx((0.5 + 2 / 3) / 2)
    assert row.met is False and str(row.target) == "≥ 1.05"


def test_what_others_did_meanwhile():
    """Catches idle time, or our own children's, that is taken for somebody else's work."""
    hertz = os.sysconf("SC_CLK_TCK")
    ticks = [hertz * seconds for seconds in (10, 1, 2, 500, 30, 1, 1, 4, 3, 0)]
    first = watch(lambda: f"cpu  {' '.join(map(str, ticks))}\ncpu0 1 2 3\n")
    assert first is not None and first.machine == 10 + 1 + 2 + 1 + 1 + 4
    later = Watch(first.clock + 10, first.machine + 15, first.own + 12)
    assert first.others(later) == pytest.approx(0.3)
    assert first.others(Watch(first.clock + 10, first.machine + 11.9, first.own + 12)) == 0
    assert first.others(Watch(first.clock + 0.01, first.machine + 0.01, first.own)) is None


def test_only_decoding_goes_over_threads_and_depths():
    """Catches a depth beyond the context, and a table that multiplies what has no depth."""
    wish = Wish(("decode", "start", "avx2", "long"), ("int8",), (1, 2), (16, 1000))
    found = [(case.measure, case.threads, case.depth) for case in cases(wish, 1024)]
    assert found == [("decode", 1, 16), ("decode", 2, 16), ("start", 2, 0), ("avx2", 2, 16)]
    assert too_deep(wish, 1024) == [1000, 8000] and too_deep(wish, 8192) == []
    assert ("decode", 1, 1000) in [(c.measure, c.threads, c.depth) for c in cases(wish, 8192)]
    assert ("long", 2, 8000) in [(c.measure, c.threads, c.depth) for c in cases(wish, 8192)]
