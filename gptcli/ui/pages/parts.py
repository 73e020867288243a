"""What parts add to a logit, as a page."""

from __future__ import annotations

from gptcli.types.parts import LogitParts
from gptcli.ui.pages.page import Spot, grid, legend, meter, page, paragraph, table, text
from gptcli.ui.terminal.heat import signed_root
from gptcli.ui.terminal.visible import plainly
from gptcli.ui.views import parts as words

#: Parts that the page lists.
_LISTED = 60


def parts(found: LogitParts) -> str:
    """The page: the map of heads, and the strongest parts."""
    title = words.title_of(found)
    lines = [paragraph(plainly(found.request.prompt), "prompt"), paragraph(title)]
    lines += [paragraph(note, "quiet") for note in words.notes(found)]
    layers = words.by_head(found)
    if layers:
        largest = words.largest_of(found)
        ends = f"{-largest:.2g}", f"{largest:+.2g} (the colour is the root)"
        lines += ["<h2>Heads</h2>", legend(*ends, "signed"), _map(layers, largest)]
    strongest = found.strongest[:_LISTED]
    lines.append(f"<h2>{'The strongest parts' if len(found.parts) > _LISTED else 'Parts'}</h2>")
    most = abs(strongest[0].adds) or 1.0
    rows = [
        [
            text(name := words.name_of(each)),
            f"{each.adds:+.4f}",
            meter(each.adds / most, f"{name}: {each.adds:+.6g}", signed=True),
        ]
        for each in strongest
    ]
    lines.append(table(["part", "adds", ""], rows, numbers=(1,)))
    return page("Parts of a logit: what each adds", found.source, lines)


def _map(layers: dict[int, list[float]], largest: float) -> str:
    wide = max(map(len, layers.values()))
    rows = [
        (
            str(layer),
            [
                Spot(
                    f"{adds:+.2f}",
                    signed_root(adds / largest),
                    f"layer {layer}, head {head}: {adds:+.6g}",
                )
                for head, adds in enumerate(row)
            ],
        )
        for layer, row in layers.items()
    ]
    return grid("layers down, heads across", list(map(str, range(wide))), rows, kind="signed")
