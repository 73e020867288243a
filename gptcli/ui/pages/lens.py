"""The logit lens as a page."""

from __future__ import annotations

from gptcli.types.lens import Lens, Reading
from gptcli.ui.pages.page import Spot, grid, legend, meter, page, paragraph, piece, table, text
from gptcli.ui.terminal.visible import plainly, visible
from gptcli.ui.views.lens import name_of, reader_of
from gptcli.units import percent


def lens(found: Lens) -> str:
    """The page: the grid, every cell with its likeliest tokens, and the tracked token's ranks."""
    heads = [f"{at}<br>{piece(token)}" for at, token in enumerate(found.tokens, found.first)]
    rows = [
        (name_of(layer), [_spot(found, layer, at, each) for at, each in enumerate(row)])
        for layer, row in enumerate(found.grid, -1)
    ]
    foot = [
        ("says", [f"<strong>{piece(each)}</strong>" for each in found.answers]),
        ("since", [name_of(layer) for layer in found.settled]),
    ]
    parts = [
        paragraph(plainly(found.request.prompt), "prompt"),
        paragraph(
            f"What the stream would say after each layer, read out through {reader_of(found)}."
            " Framed: where the last layer's answer first is rank 1. The arrow keys go from cell"
            " to cell.",
            "quiet",
        ),
        legend("0%", "100%"),
        grid("layers down, positions across", heads, rows, foot=foot),
    ]
    if found.first:
        parts.append(paragraph(f"{found.first} tokens before these are not shown.", "quiet"))
    if found.tracked is not None:
        parts += [_title(found), _ranks(found)]
    kind = "Logit" if found.request.tuned is None else "Tuned"
    return page(f"{kind} lens: what each layer would say", found.source, parts)


def _spot(found: Lens, layer: int, at: int, each: Reading) -> Spot:
    top, probability = each.top[0]
    lines = [f"{name_of(layer)}, position {found.first + at} {visible(found.tokens[at].bytes)}"]
    lines += [f"{percent(share)} {visible(token.bytes)}" for token, share in each.top]
    answer = visible(found.answers[at].bytes)
    lines.append(f"{answer} is rank {each.answer.rank}, {percent(each.answer.probability)}")
    if each.tracked is not None and found.tracked is not None:
        tracked = visible(found.tracked.bytes)
        lines.append(f"{tracked} is rank {each.tracked.rank}, {percent(each.tracked.probability)}")
    return Spot(piece(top), probability, "\n".join(lines), found.settled[at] == layer)


def _title(found: Lens) -> str:
    assert found.tracked is not None
    position = found.first + len(found.tokens) - 1
    return f"<h2>{piece(found.tracked)} after position {position}</h2>"


def _ranks(found: Lens) -> str:
    rows = []
    for layer, row in enumerate(found.grid, -1):
        each = row[-1].tracked
        assert each is not None
        tip = f"{name_of(layer)}: rank {each.rank}, {percent(each.probability)}"
        bar = meter(each.probability, tip)
        rows.append([name_of(layer), f"{each.rank:,}", text(percent(each.probability)), bar])
    return table(["layer", "rank", "probability", ""], rows, numbers=(0, 1, 2))
