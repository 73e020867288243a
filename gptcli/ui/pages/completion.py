"""A completion as a page: every token in the colour of its number, with all its numbers."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from gptcli.types.completion import Usage
from gptcli.ui.pages.page import page, paragraph, text
from gptcli.ui.terminal.visible import neutral, visible
from gptcli.ui.views.attribution import Piece
from gptcli.ui.views.measures import MEASURES, Measure, Seen
from gptcli.units import percent

#: By what a text ended, in words.
_ENDS = {"length": "It was cut off at the limit of its tokens.", "stop": "It came to its end."}


def completion(
    usage: Usage,
    prompt: Sequence[Piece],
    samples: Sequence[Sequence[Piece]],
    reasons: Sequence[str | None],
    begin: Measure,
) -> str:
    """The page. begin: the measure that it is coloured by until another one is chosen."""
    known = [m for m in MEASURES.values() if _has(m, [*prompt, *(p for s in samples for p in s)])]
    parts = [_choice(known, begin)] if len(known) > 1 else []
    parts += [_legend(each) for each in MEASURES.values()]
    one = len(samples) == 1
    if not one:
        parts += ["<h2>Prompt</h2>", _text([("asked", prompt)])]
    for number, (pieces, reason) in enumerate(zip(samples, reasons, strict=True), 1):
        if one:
            parts.append(_text([("asked", prompt), ("said", pieces)]))
        else:
            parts += [f"<h2>{number} of {len(samples)}</h2>", _text([("said", pieces)])]
        parts += [paragraph(_ENDS.get(reason, reason), "quiet")] if reason else []
    grey = "" if _has(begin, prompt) else "The prompt is grey. "
    parts.append(
        paragraph(
            f"{grey}Seed {usage.seed}. Numbers are those of the model before any"
            " sampling; the arrow keys go from token to token.",
            "quiet",
        )
    )
    frame = [f'<div class="coloured by-{begin.name}">', *parts, "</div>"]
    return page("Completion, token by token", usage.source, frame)


def _has(measure: Measure, pieces: Sequence[Piece]) -> bool:
    return any(measure.value(token) is not None for _, tokens in pieces for token in tokens)


def _choice(known: Sequence[Measure], begin: Measure) -> str:
    options = "".join(
        f'<option value="{each.name}"{" selected" if each is begin else ""}>{each.name}</option>'
        for each in known
    )
    return (
        '<p class="controls"><label>Coloured by'
        f' <select id="measure" autocomplete="off">{options}</select></label></p>'
    )


def _legend(measure: Measure) -> str:
    letter = measure.name[0]
    steps = "".join(
        f'<span class="{letter}{step}">{text(label)}</span>'
        for step, label in enumerate(measure.labels)
    )
    return f'<p class="legend for-{measure.name}">{measure.name}{steps}</p>'


def _text(parts: Sequence[tuple[str, Sequence[Piece]]]) -> str:
    spans = "".join(
        f'<span class="{kind}">{"".join(map(_piece, pieces))}</span>' for kind, pieces in parts
    )
    return f'<div class="text" tabindex="0" role="group" aria-label="tokens">{spans}</div>'


def _piece(piece: Piece) -> str:
    content, tokens = piece
    # A newline of its own would end the span without anything to point at.
    shown = text(neutral(content)).replace("\n", '<span class="mark">⏎</span>\n')
    if not tokens:
        return shown
    kinds = [
        f"{each.name[0]}{step}"
        for each in MEASURES.values()
        if (step := each.step(each.of(tokens))) is not None
    ]
    tip = "\n".join(line for token in tokens for line in _told(token))
    return f'<span class="{" ".join(kinds)}" tabindex="-1" data-tip="{text(tip)}">{shown}</span>'


def _told(token: Seen) -> Iterator[str]:
    yield visible(token.bytes)
    if token.logprob is None:
        yield "nothing stands before it"
        return
    told = percent(math.exp(token.logprob))
    if token.among is not None:
        told += f", rank {token.among.rank:,}, entropy {token.among.entropy:.2f} bits"
    yield told
    for other in token.top_logprobs:
        yield f"  {percent(math.exp(other.logprob))} {visible(other.bytes)}"
