"""Models of the hub as they are shown: what a search found, and the variants of one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TextIO

from gptcli.types.models import Offer, OfferedVariant
from gptcli.ui.terminal.tables import Cell, Column
from gptcli.ui.views.printing import blank, fitted, pairs
from gptcli.units import counted, millions, size

_FOUND = (
    Column("model", shrink=True, least=24, style="bold"),
    Column("variant", keep=5),
    Column("size", right=True),
    Column("runs here", keep=8),
    Column("downloads", right=True, keep=4),
    Column("licence", keep=3, shrink=True, least=10),
    Column("parameters", right=True, keep=2),
    Column("variants", keep=1, shrink=True, least=12),
)
_VARIANTS = (
    Column("variant", shrink=True, least=12, style="bold"),
    Column("size", right=True),
    Column("runs here"),
    Column("on this disk", keep=2),
    Column("files", right=True, keep=1),
)


def show_found(offers: Sequence[Offer], room: int | None, stream: TextIO) -> None:
    """A row for each model, with the variant that is meant where none is named.

    Off a terminal exact: tab-separated, the variants with commas between.
    """
    fitted(stream, _FOUND, [_found(each, room) for each in offers])


def show_variants(offer: Offer, room: int | None, stream: TextIO) -> None:
    """What the hub says of a model on a terminal, and a row for each variant anywhere.

    Off a terminal a variant has its whole name, as --model takes it.
    """
    if stream.isatty():
        rows = [
            ("model", offer.name),
            ("by default", _word(offer.meant)),
            ("family", offer.family or "unknown"),
            ("parameters", _parameters(offer) or "unknown"),
            ("licence", _licence(offer) or "unknown"),
            ("downloads", _grouped(offer.downloads) or "unknown"),
        ]
        pairs(stream, rows + ([("free", f"{size(room)} of main memory")] if room else []))
        blank(stream)
    fitted(stream, _VARIANTS, [_variant(offer, each, room) for each in offer.variants])


def as_json(offer: Offer, room: int | None) -> dict[str, Any]:
    """For programs; null is what the hub does not say."""
    return {
        "name": offer.name,
        "family": offer.family,
        "parameters": offer.parameters,
        "downloads": offer.downloads,
        "licence": offer.licence,
        "gated": offer.gated,
        "default": offer.default or None,
        "available": room,
        "variants": [
            {
                "name": offer.name_of(each),
                "variant": each.name or None,
                "files": each.files,
                "bytes": each.size,
                "memory": each.memory,
                "fits": each.fits(room),
                "installed": each.name in offer.here,
            }
            for each in offer.variants
        ],
    }


def _found(offer: Offer, room: int | None) -> list[str | Cell]:
    meant = offer.meant
    others = [each.name for each in offer.variants if each.name]
    return [
        offer.name,
        _word(meant),
        _size(meant.size),
        _runs(meant, room),
        Cell(_grouped(offer.downloads), data=_exact(offer.downloads)),
        _licence(offer),
        Cell(_parameters(offer), data=_exact(offer.parameters)),
        Cell(_few(others), data=",".join(others)),
    ]


def _variant(offer: Offer, each: OfferedVariant, room: int | None) -> list[str | Cell]:
    here = each.name in offer.here
    return [
        Cell(_word(each), data=offer.name_of(each)),
        _size(each.size),
        _runs(each, room),
        Cell("yes" if here else "", data="yes" if here else "no"),
        str(each.files),
    ]


def _word(each: OfferedVariant) -> str:
    return each.name or "safetensors"


def _runs(each: OfferedVariant, room: int | None) -> Cell:
    """Programs get the bytes."""
    exact, fits = _exact(each.memory), each.fits(room)
    if each.memory is None:
        return Cell("unknown", "dim", data="")
    if fits:
        return Cell("fits", "green", data=exact)
    return Cell(f"needs {size(each.memory)}", "" if fits is None else "yellow", data=exact)


def _size(count: int | None) -> Cell:
    return Cell("" if count is None else size(count), data=_exact(count))


def _exact(count: int | None) -> str:
    return "" if count is None else str(count)


def _grouped(count: int | None) -> str:
    return "" if count is None else f"{count:,}"


def _parameters(offer: Offer) -> str:
    return "" if offer.parameters is None else millions(offer.parameters)


def _licence(offer: Offer) -> str:
    words = [offer.licence or "", "gated" if offer.gated else ""]
    return ", ".join(filter(None, words))


def _few(names: Sequence[str]) -> str:
    """A list that a cell has room for: its ends, and how many there are."""
    if len(names) <= 3:
        return ", ".join(names)
    return f"{names[0]} … {names[-1]}, {counted(len(names), 'variant')}"
