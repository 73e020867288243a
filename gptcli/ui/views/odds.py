"""What is asked about, and what became of it: words, cells of tables, rows, JSON."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, Protocol, TextIO

from gptcli.types.choose import ScoredToken
from gptcli.types.why import Odds
from gptcli.ui.data.values import finite, logprob_json, number
from gptcli.ui.terminal.bars import bar
from gptcli.ui.terminal.stream import variables_of
from gptcli.ui.terminal.visible import visible
from gptcli.ui.terminal.writer import width_of
from gptcli.units import percent

_BAR = 24


class AskedAbout(Protocol):
    """What knows a target, and what it is held to."""

    @property
    def target(self) -> tuple[ScoredToken, ...]:
        """Its tokens."""
        ...

    @property
    def versus(self) -> tuple[ScoredToken, ...] | None:
        """Those of the other text."""
        ...

    @property
    def likeliest(self) -> bool:
        """Whether nobody named the target."""
        ...

    @property
    def odds(self) -> Odds:
        """Those before anything is changed."""
        ...


def told(asked: AskedAbout) -> Iterator[str]:
    """What is asked about, in words."""
    target, odds = text_of(asked.target), asked.odds
    which = "the likeliest token, follows" if asked.likeliest else "follows"
    comma = "," if asked.likeliest else ""
    yield f"{target}{comma} {which} with {chance(odds.target)}"
    if asked.versus is not None and odds.versus is not None:
        yield f"{text_of(asked.versus)} follows with {chance(odds.versus)}"
        yield f"the difference of the log-probabilities is {odds.value:+.3f}"


def chance(logprob: float) -> str:
    """A log-probability in words."""
    return f"{percent(math.exp(logprob))}, log-probability {logprob:.3f}"


def text_of(tokens: Sequence[ScoredToken]) -> str:
    """The text of tokens, made visible."""
    return visible(b"".join(each.token.bytes for each in tokens))


def percents(odds: Odds) -> list[str]:
    """The probabilities of both, for people."""
    found = [percent(math.exp(odds.target))]
    return found if odds.versus is None else [*found, percent(math.exp(odds.versus))]


def style_of(change: float) -> str:
    """The colour of what the target hangs on, and of what stands in its way."""
    return "yellow" if change < 0 else "cyan"


def blocks(stream: TextIO, share: float) -> str:
    """A bar of a share from 0 to 1."""
    if not math.isfinite(share):
        share = 1.0
    width = min(_BAR, max(width_of(stream) // 4, 8))
    if variables_of(stream).get("TERM") == "dumb":
        return "#" * math.ceil(share * width)
    return bar(share, width)


def size_of(value: float) -> float:
    """By what changes are sorted: what is no number, of two infinities, is the last."""
    return -1.0 if math.isnan(value) else abs(value)


def cells(before: Odds, after: Odds | None) -> Iterator[str]:
    """For rows: probabilities and log-probabilities before and after, the target's, the other's."""
    for name in ("target", "versus"):
        one: float | None = getattr(before, name)
        other: float | None = None if after is None else getattr(after, name)
        if one is not None:
            chances = [None if each is None else math.exp(each) for each in (one, other)]
            yield from map(number, (*chances, one, other))


def heads(*, versus: bool) -> list[str]:
    """Those of `cells`."""
    found = ["probability_before", "probability_after", "logprob_before", "logprob_after"]
    return found + ([f"versus_{name}" for name in found] if versus else [])


def following(tokens: Sequence[ScoredToken]) -> dict[str, Any]:
    """A text that follows, with its tokens, as JSON has it."""
    text = b"".join(each.token.bytes for each in tokens).decode(errors="replace")
    logprob = math.fsum(each.logprob for each in tokens)
    each = [logprob_json(each.token, each.logprob) for each in tokens]
    return {"text": text, **chances(logprob), "tokens": each}


def chances(logprob: float | None) -> dict[str, Any]:
    """A log-probability and its probability, as JSON has them."""
    value = None if logprob is None else math.exp(logprob)
    return {"logprob": finite(logprob), "probability": value}


def both(odds: Odds | None, *, versus: bool) -> dict[str, Any]:
    """What became of the target, and of the other where there is one, as JSON has it."""
    other = chances(None if odds is None else odds.versus) if versus else None
    return {"target": chances(None if odds is None else odds.target), "versus": other}
