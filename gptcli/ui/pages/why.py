"""On which parts of a prompt an answer hangs, as a page."""

from __future__ import annotations

import math
from collections.abc import Iterator

from gptcli.types.why import Why, Without
from gptcli.ui.pages.page import Spot, grid, legend, meter, page, paragraph, table, text
from gptcli.ui.terminal.visible import neutral, visible
from gptcli.ui.views.why import notes, pieces, scale, told
from gptcli.ui.views.why_data import by_strength
from gptcli.units import percent

#: Parts whose pairs a grid shows.
_MOST = 60


def why(found: Why) -> str:
    """The page: the prompt in colours, a table of its parts, and a grid of pairs."""
    largest = scale(found)
    parts = [paragraph(line) for line in told(found)]
    parts += [
        '<div class="coloured why">',
        '<div class="text" tabindex="0" role="group" aria-label="tokens">',
        "".join(_pieces(found, largest)),
        "</div>",
        legend(f"{-largest:+.2f}", f"{largest:+.2f}", "both"),
        "</div>",
        *(paragraph(line, "quiet") for line in notes(found)),
        _table(found, largest),
    ]
    if found.pairs:
        parts += ["<h2>Interactions</h2>", *_pairs(found)]
    return page("Why: what the answer hangs on", found.source, parts)


def _pieces(found: Why, largest: float) -> Iterator[str]:
    known = {each.parts[0]: each for each in found.singles}
    for data, _, part in pieces(found):
        content = text(neutral(data.decode(errors="backslashreplace")))
        shown = content.replace("\n", '<span class="mark">⏎</span>\n')
        each = None if part is None else known.get(part)
        if each is None:
            yield f'<span class="asked">{shown}</span>'
            continue
        tip = text("\n".join(_tip(found, each)))
        below = "" if found.change(each) < 0 else ' class="below"'
        share = _share(found.change(each), largest)
        yield f'<span{below} tabindex="-1" style="--v:{share:.3f}" data-tip="{tip}">{shown}</span>'


def _share(change: float, largest: float) -> float:
    return min(abs(change) / largest, 1.0) if math.isfinite(change) else 1.0


def _tip(found: Why, each: Without) -> Iterator[str]:
    part = found.asked.parts[each.parts[0]]
    yield f"{part.first} {visible(part.bytes)}"
    yield f"change {found.change(each):+.3f}"
    yield f"{percent(math.exp(found.asked.odds.target))} → {percent(math.exp(each.odds.target))}"
    if each.odds.versus is not None and found.asked.odds.versus is not None:
        before, after = found.asked.odds.versus, each.odds.versus
        yield f"versus {percent(math.exp(before))} → {percent(math.exp(after))}"


def _table(found: Why, largest: float) -> str:
    heads = ["#", found.asked.request.by, "change", "", "probability without"]
    heads += ["versus without"] if found.asked.versus is not None else []
    lines = []
    for each in by_strength(found):
        part, change = found.asked.parts[each.parts[0]], found.change(each)
        bar = meter(_share(change, largest), "\n".join(_tip(found, each)))
        bar = bar if change >= 0 else bar.replace('class="bar"', 'class="bar plus"', 1)
        row = [str(part.first), f"<bdi>{text(visible(part.bytes))}</bdi>", f"{change:+.3f}", bar]
        row.append(text(percent(math.exp(each.odds.target))))
        versus = each.odds.versus
        lines.append(row if versus is None else [*row, text(percent(math.exp(versus)))])
    return table(heads, lines, numbers=(0, 2, 4, 5))


def _pairs(found: Why) -> Iterator[str]:
    """A square of the first parts, half of which is empty: what both do is the same either way."""
    interactions = found.interactions
    count = min(len(found.asked.parts), _MOST)
    sizes = [abs(each) for each in interactions.values() if math.isfinite(each)]
    largest = max(sizes, default=0.0) or 1.0
    names = [visible(each.bytes) for each in found.asked.parts[:count]]
    lines = []
    for one in range(count):
        spots = []
        for other in range(count):
            value = interactions.get((min(one, other), max(one, other)))
            if value is None:
                spots.append(Spot("", 0.0, f"{names[one]} × {names[other]}"))
                continue
            # Of one sign as the colours of the text are: together they do more harm.
            share = -value / largest if math.isfinite(value) else 0.0
            spots.append(Spot("", share, f"{names[one]} × {names[other]}\n{value:+.3f}"))
        lines.append((f"<bdi>{text(names[one])}</bdi>", spots))
    heads = [f"<bdi>{text(name)}</bdi>" for name in names]
    yield grid("interactions of two parts", heads, lines, kind="square strip")
    if count < len(found.asked.parts):
        yield paragraph(f"The first {count} of {len(found.asked.parts)} parts.", "quiet")
