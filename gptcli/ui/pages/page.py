"""A page: its frame, and the parts that all views are made of."""

from __future__ import annotations

import html
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any, Literal

from gptcli.types.token import Source, Token
from gptcli.ui.terminal.visible import visible
from gptcli.ui.views.source import where

#: Nothing may be loaded from anywhere, whatever a token spells.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"
#: A colour that grows; that of shares below 0 to that of those above, in a grid that is signed; the
#: same from what is above on; and for texts, that have no colour in the middle.
Ramp = Literal["one", "signed", "falling", "both"]


def page(
    title: str,
    source: Source,
    parts: Iterable[str],
    *,
    data: Any = None,
    script: str = "",
    lang: str = "en",
) -> str:
    """The whole file. data: what scripts read, as JSON; script: the file of one more."""
    # No text in it may end the element that it stands in.
    stored = json.dumps(data, ensure_ascii=False, allow_nan=False).replace("<", "\\u003c")
    body = "\n".join(parts)
    scripts = _asset("script.js") + (_asset(script) if script else "")
    return f"""<!doctype html>
<html lang="{lang}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<link rel="icon" href="data:,">
<title>{text(title)}</title>
<style>
{_asset("style.css")}</style>
</head>
<body>
<main>
<h1>{text(title)}</h1>
{body}
<footer>gptcli · {text(where(source))}</footer>
</main>
<div id="tip" role="status" aria-live="polite" hidden></div>
<script type="application/json" id="data">{stored}</script>
<script>
{scripts}</script>
</body>
</html>
"""


def _asset(name: str) -> str:
    return resources.files("gptcli.ui.pages").joinpath(name).read_text(encoding="utf-8")


def text(content: str) -> str:
    """A text as HTML."""
    return html.escape(content, quote=True)


def piece(token: Token) -> str:
    """A token made visible, apart from what stands beside it, as HTML."""
    return f"<bdi>{text(visible(token.bytes))}</bdi>"


def paragraph(content: str, kind: str = "") -> str:
    """A paragraph of plain text."""
    return f"<p{_class(kind)}>{text(content)}</p>"


def _class(kind: str) -> str:
    return f' class="{kind}"' if kind else ""


@dataclass(frozen=True)
class Spot:
    """A cell of a grid: what stands in it (HTML), its colour (0 to 1, or -1 to 1 where it may be
    below 0), and the numbers that pointing at it shows.
    """

    content: str
    share: float
    tip: str
    marked: bool = False


def grid(
    label: str,
    heads: Sequence[str],
    rows: Sequence[tuple[str, Sequence[Spot]]],
    *,
    foot: Sequence[tuple[str, Sequence[str]]] = (),
    kind: str = "",
) -> str:
    """A table of spots under heads (HTML), to be gone through with the arrow keys.

    kind: "strip" for small ones without a text, "signed" where shares may be below 0.
    """
    kinds = f"grid {kind}".strip()
    lines = [f'<div class="scroll"><table class="{kinds}" role="grid" aria-label="{text(label)}">']
    if heads:
        cells = "".join(f'<th scope="col">{head}</th>' for head in heads)
        lines.append(f"<thead><tr><td></td>{cells}</tr></thead>")
    lines.append("<tbody>")
    for name, spots in rows:
        cells = "".join(map(_spot, spots))
        lines.append(f'<tr><th scope="row">{name}</th>{cells}</tr>')
    lines.append("</tbody>")
    if foot:
        lines.append("<tfoot>")
        for name, ends in foot:
            cells = "".join(f"<td>{end}</td>" for end in ends)
            lines.append(f'<tr><th scope="row">{name}</th>{cells}</tr>')
        lines.append("</tfoot>")
    return "\n".join([*lines, "</table></div>"])


def _spot(spot: Spot) -> str:
    # Where light text can be read better than dark, or the other way round: dark schemes change
    # earlier than light ones. The script has the same borders.
    kinds = ["hot"] if abs(spot.share) > 0.55 else []
    kinds += ["hotter"] if abs(spot.share) > 0.68 else []
    kinds += ["below"] if spot.share < 0 else []
    kinds += ["marked"] if spot.marked else []
    attributes = f'tabindex="-1" style="--v:{abs(spot.share):.3f}" data-tip="{text(spot.tip)}"'
    return f"<td{_class(' '.join(kinds))} {attributes}>{spot.content}</td>"


def table(heads: Sequence[str], rows: Sequence[Sequence[str]], *, numbers: Iterable[int]) -> str:
    """A plain table of HTML cells; `numbers` are the columns to be set to the right."""
    right = frozenset(numbers)
    kinds = [' class="number"' if at in right else "" for at in range(len(heads))]
    top = "".join(f'<th scope="col"{k}>{head}</th>' for k, head in zip(kinds, heads, strict=True))
    lines = [f'<div class="scroll"><table class="plain"><thead><tr>{top}</tr></thead><tbody>']
    for row in rows:
        cells = "".join(f"<td{k}>{cell}</td>" for k, cell in zip(kinds, row, strict=True))
        lines.append(f"<tr>{cells}</tr>")
    return "\n".join([*lines, "</tbody></table></div>"])


def meter(share: float, tip: str, *, signed: bool = False) -> str:
    """A bar that fills `share` (0 to 1) of its cell; signed: one of -1 to 1, in two colours."""
    kind = "bar"
    if signed:
        kind, share = ("bar plus", share) if share >= 0 else ("bar below", -share)
    width = f"{min(max(share, 0.0), 1.0) * 100:.2f}%"
    label = text(tip)
    return (
        f'<span class="{kind}" tabindex="0" role="img" aria-label="{label}" data-tip="{label}">'
        f'<span style="width:{width}"></span></span>'
    )


def legend(low: str, high: str, ramp: Ramp = "one") -> str:
    """What the colours of a scale mean at its two ends."""
    return (
        f'<p class="legend"><span>{text(low)}</span><span class="ramp {ramp}" role="img"'
        f' aria-label="colour scale"></span><span>{text(high)}</span></p>'
    )
