"""What is left while parts of a model are off, as a page."""

from __future__ import annotations

import math
from collections.abc import Iterator

from gptcli.types.ablate import Ablated, Ablation
from gptcli.ui.pages.page import Spot, grid, legend, meter, page, paragraph, table, text
from gptcli.ui.terminal.visible import plainly
from gptcli.ui.views.ablate import grid_of, label_of, notes, scale, share_of, told
from gptcli.ui.views.ablate_data import by_strength
from gptcli.ui.views.heat_map import signed
from gptcli.units import percent

#: Rows of the table: what nothing hangs on is in the map.
_MOST = 200


def ablation(found: Ablation) -> str:
    """The page: a map, and a table of what is the strongest."""
    largest = scale(found)
    parts = [paragraph(plainly(found.asked.request.prompt), "prompt")]
    parts += [paragraph(line) for line in told(found)]
    shape = grid_of(found)
    if shape is not None:
        heads, lines = shape
        rows = [
            (text(name), [_spot(found, name, head, each, largest) for head, each in pairs])
            for name, values in lines
            for pairs in [list(zip(heads, values, strict=True))]
        ]
        what = f"{found.asked.request.each}s"
        names = [f"<bdi>{text(head)}</bdi>" for head in heads]
        parts += [
            legend(f"{-largest:+.2f}", f"{largest:+.2f}", "falling"),
            grid(what, names, rows, kind="signed"),
        ]
    parts += [paragraph(line, "quiet") for line in notes(found)]
    parts.append(_table(found, largest))
    return page("Ablation: what the answer hangs on", found.source, parts)


def _spot(found: Ablation, name: str, head: str, change: float | None, largest: float) -> Spot:
    where = f"{found.asked.request.each} {name}.{head}" if name.isdigit() else f"{name} {head}"
    if change is None:
        return Spot("", 0.0, where)
    return Spot(signed(change), share_of(change, largest), f"{where}\nchange {change:+.3f}")


def _table(found: Ablation, largest: float) -> str:
    heads = ["off", "change", "", "probability without"]
    heads += ["versus without"] if found.asked.versus is not None else []
    lines = []
    for each in by_strength(found)[:_MOST]:
        change = found.change(each)
        bar = meter(abs(share_of(change, largest)), "\n".join(_tip(found, each)))
        bar = bar if change >= 0 else bar.replace('class="bar"', 'class="bar plus"', 1)
        row = [f"<bdi>{text(label_of(found, each.step))}</bdi>", f"{change:+.3f}", bar]
        after = (each.odds.target, each.odds.versus)
        lines.append([*row, *(text(percent(math.exp(p))) for p in after if p is not None)])
    return table(heads, lines, numbers=(1, 3, 4))


def _tip(found: Ablation, each: Ablated) -> Iterator[str]:
    yield f"{label_of(found, each.step)}: {found.change(each):+.3f}"
    before, after = found.asked.odds, each.odds
    yield f"{percent(math.exp(before.target))} → {percent(math.exp(after.target))}"
    if before.versus is not None and after.versus is not None:
        yield f"versus {percent(math.exp(before.versus))} → {percent(math.exp(after.versus))}"
