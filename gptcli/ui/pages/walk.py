"""The walk of a page: layers to step through, parts to switch off, with numbers computed before."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from gptcli.plain import dataclass
from gptcli.types.explain import Block, Round
from gptcli.types.parts_off import MOST_TOKENS, PartOff
from gptcli.types.token import Token
from gptcli.ui.pages.page import Spot, grid, paragraph, text
from gptcli.ui.terminal.visible import visible
from gptcli.ui.words import Words
from gptcli.units import percent, total_length


@dataclass(frozen=True)
class Told:
    """A round of a walk, and what was switched off in it, perhaps not all.

    Followed are the token that was drawn, then the likeliest of all, as they are in the round.
    other: the round of the prompt with a word replaced, and names: what of both is replaced.
    """

    round: Round
    off: tuple[PartOff, ...] = ()
    other: Round | None = None
    names: tuple[str, str] | None = None


def walk(told: Told, number: int, words: Words) -> Iterator[str]:
    """The parts of the page; the script fills what is hidden without it."""
    title, say = text(words.title("walk")), words.phrase
    layers = _layers(told.round)
    yield f'<section class="walk" data-walk="{number}" hidden><h2>{title}</h2>'
    yield paragraph(say("walk", "hint"))
    buttons = [
        f'<button type="button" data-step="{step}" aria-label="{text(say("walk", key))}">'
        f"{sign}</button>"
        for step, key, sign in ((-1, "before", "←"), (1, "after", "→"))
    ]
    slider = (
        f'<input type="range" min="0" max="{len(layers) - 1}" value="{len(layers) - 1}" step="1"'
        f' aria-label="{text(say("walk", "slider"))}">'
    )
    yield f'<div class="controls">{buttons[0]}{slider}{buttons[1]}<output></output></div>'
    yield '<div class="next"></div><div class="blocks"></div></section>'
    yield from _table(told, words)


def _table(told: Told, words: Words) -> Iterator[str]:
    """What every part's absence does, which needs no script."""
    found = told.round
    if not told.off:
        if found.prompt_tokens > MOST_TOKENS:
            yield paragraph(words.phrase("walk", "fewer", most=MOST_TOKENS), "quiet")
        return
    facts = {
        "token": visible(found.drawn.token.bytes),
        "probability": percent(found.drawn.probability),
        "count": len(told.off),
    }
    yield f'<section class="off"><h2>{text(words.title("off"))}</h2>'
    yield from map(paragraph, words.lines("off", **facts))
    layers = _layers(found)
    there = {(each.layer, each.name): each for each in told.off}
    rows = [
        (
            text(_name(name, words)),
            [_spot(there.get((layer, name)), found.drawn.probability, words) for layer in layers],
        )
        for name in dict.fromkeys(each.name for each in told.off)
    ]
    yield grid(words.title("off"), [str(layer) for layer in layers], rows, kind="signed")
    if len(told.off) < len(found.blocks):
        facts = {"count": len(told.off), "all": len(found.blocks)}
        yield paragraph(words.phrase("walk", "cut", **facts), "quiet")
    yield "</section>"


def _spot(off: PartOff | None, whole: float, words: Words) -> Spot:
    if off is None:
        return Spot("", 0.0, "")
    part = {"part": _name(off.name, words), "layer": off.layer}
    tip = f"{words.phrase('walk', 'without', **part)}: {percent(off.followed[0])}"
    return Spot(f"{off.followed[0] * 100:.0f}", off.followed[0] - whole, tip)


def _name(name: str, words: Words) -> str:
    return words.phrase("part", "mixer" if name == "state" else name)


def _layers(found: Round) -> list[int]:
    return sorted({block.layer for block in found.blocks})


def data(told: Sequence[Told], words: Words) -> dict[str, Any]:
    """What the script reads: all texts in it are texts, and numbers are as they are shown."""
    keys = ("looks", "says", "off", "on", "next", "whole")
    return {
        "view": "explain",
        "words": {key: words.phrase("walk", key) for key in keys},
        "walks": [_walk(each, words) for each in told],
    }


def _walk(told: Told, words: Words) -> dict[str, Any]:
    found, last = told.round, told.round.facts.layers - 1
    off = {(each.layer, each.name): each for each in told.off}
    other = {(b.layer, b.name): b for b in told.other.blocks} if told.other else {}
    layers = [
        {
            "name": words.phrase("walk", "layer", layer=layer, last=last),
            "blocks": [
                _block(block, other.get((layer, block.name)), words)
                | _without(found, off.get((layer, block.name)), words)
                for block in found.blocks
                if block.layer == layer
            ],
        }
        for layer in _layers(found)
    ]
    candidates = found.distribution.candidates
    says = _shares([(each.token, each.probability) for each in candidates])
    return {"layers": layers, "says": says, "names": told.names}


def _block(block: Block, other: Block | None, words: Words) -> dict[str, Any]:
    sides = [_side(each, words) for each in (block, other) if each is not None]
    return {"name": _name(block.name, words), "sides": sides}


def _without(found: Round, off: PartOff | None, words: Words) -> dict[str, Any]:
    """The tokens that are likeliest otherwise, and those that are it then."""
    if off is None:
        return {}
    tokens = [each.token for each in found.distribution.candidates]
    known = {token.id for token in tokens}
    pairs = list(zip(tokens, off.followed[1:], strict=True))
    pairs += [(token, share) for token, share in off.says if token.id not in known]
    name = _name(off.name, words)
    without = words.phrase("walk", "without", part=name, layer=off.layer)
    return {"without": without, "off": _shares(pairs)}


def _side(block: Block, words: Words) -> dict[str, Any]:
    facts = {"adds": f"{block.norm:.2f}", "cosine": f"{block.cosine:+.2f}"}
    side: dict[str, Any] = {
        "facts": words.phrase("walk", "facts", **facts),
        "looks": _shares([(token, share) for _, token, share in block.looks]),
        "says": _shares(block.says),
    }
    if block.state:
        length = f"{total_length(block.state):.4g}"
        side["state"] = words.phrase("walk", "state", length=length)
    return side


def _shares(pairs: Sequence[tuple[Token, float]]) -> list[list[Any]]:
    """Each as its token, its share of 1, that as it is read, and the token's id."""
    return [
        [visible(token.bytes), round(share, 6), percent(share), token.id] for token, share in pairs
    ]
