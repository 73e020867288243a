"""What follows a prompt without each of its parts."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from gptcli.backends.local import memory
from gptcli.backends.local.cut_after import cut_after, notices_of
from gptcli.backends.local.looking import one_token
from gptcli.backends.local.open_model import OpenModel
from gptcli.backends.local.prompt_notices import plain_control_token, stray_space
from gptcli.errors import InputError, UsageError
from gptcli.plain import dataclass
from gptcli.text import units
from gptcli.types.choose import ScoredToken
from gptcli.types.events import Notice
from gptcli.types.why import MAX_PAIRS, Asked, By, Odds, Part, WhyRequest, Without
from gptcli.units import counted

if TYPE_CHECKING:
    from gptcli.engine.asking.edits import Edit
    from gptcli.engine.asking.prefix import PrefixCache

_BEGINS: dict[By, Callable[[str], list[int]]] = {
    "word": units.words,
    "sentence": units.sentences,
    "line": units.lines,
}


def answer(model: OpenModel, request: WhyRequest) -> Iterator[Asked | Without]:
    """See WhyRequest.

    Raises InputError for a prompt of which nothing can be left out, for a target without a token
    and a replacement of more than one, UsageError for too many pairs, ContextError, ResourceError
    where memory is short, and NonFiniteError.
    """
    from gptcli.engine.asking.prefix import PrefixCache

    put = None if request.replace is None else one_token(model, request.replace, *_REPLACE)
    known = _cut(model, request)
    parts = _parts(model, request, known)
    _check_parts(request, known, parts)
    _check_memory(model, known)
    prefix = PrefixCache(model.runner, comes_back=False)
    rows, logprobs = _whole(prefix, request, known)
    scored = [
        tuple(ScoredToken(model.token(i), logprob) for i, logprob in zip(*each, strict=True))
        for each in zip(rows, logprobs, strict=True)
    ]
    yield Asked(
        request=request,
        source=model.source,
        tokens=tuple(map(model.token, known.prompt)),
        parts=tuple(parts),
        target=scored[0],
        versus=scored[1] if len(scored) > 1 else None,
        likeliest=request.target is None,
        put=None if put is None else model.token(put),
        notices=known.notices,
    )
    spans = [(each.first, each.first + len(each.tokens)) for each in parts]
    yield from _without(prefix, known.prompt, spans, rows, put, pairs=request.pairs)


_REPLACE = ("--replace", "can stand for another")


@dataclass(frozen=True)
class _Known:
    """A prompt in tokens, the last `own` of which are of `text`; rows: what was named to follow."""

    prompt: list[int]
    own: int
    text: str
    rows: list[list[int]]
    notices: tuple[Notice, ...]


def _cut(model: OpenModel, request: WhyRequest) -> _Known:
    named = {"--target": request.target, "--versus": request.versus}
    texts = {name: text for name, text in named.items() if text is not None}
    prompt, special = request.prompt, request.special
    if not texts:
        ids = model.encode(prompt, special=special)
        own = len(model.tokenizer.encode(prompt, special=special))
        notices = [*stray_space(model.tokenizer, prompt, "try without it")]
        notices += [] if special else plain_control_token(model.tokenizer, prompt)
        return _Known(ids, own, prompt, [], tuple(notices))
    cut = cut_after(
        model, prompt, [*texts.values()], [*texts], special=special, before="the target"
    )
    told = notices_of(model, prompt, [*texts.values()], cut, special=special, what="target")
    return _Known(cut.prompt, cut.own, prompt.rstrip(), cut.rows, tuple(told))


def _parts(model: OpenModel, request: WhyRequest, known: _Known) -> list[Part]:
    """What is left out together, in the order of the text; control tokens never are.

    A token is of the word, sentence or line in which its first letter is.
    """
    text, tokens = known.text, model.tokenizer.cut(known.text, special=request.special)[: known.own]
    offset = len(known.prompt) - known.own
    begins = None if request.by == "token" else _BEGINS[request.by](text)

    def unit(at: int) -> tuple[bool, int]:
        token, start, end = tokens[at]
        piece = text[start:end]
        letter = start + len(piece) - len(piece.lstrip()) if piece.strip() else start
        place = at if begins is None else bisect_right(begins, letter)
        return model.tokenizer.is_special(token), place

    found = []
    for (special, _), places in groupby(range(len(tokens)), unit):
        group = [*places]
        if not special:
            ids = [model.token(known.prompt[offset + at]) for at in group]
            found.append(Part(offset + group[0], tuple(ids)))
    return found


def _check_parts(request: WhyRequest, known: _Known, parts: Sequence[Part]) -> None:
    count, by = len(parts), request.by
    if not parts:
        raise InputError("prompt", "has nothing but control tokens, which are never left out")
    alone = sum(len(each.tokens) for each in parts) == len(known.prompt)
    if request.replace is None and alone and count <= 1 + request.pairs:
        rest = "nothing would be left without " + ("it" if count == 1 else "them")
        hint = "--replace puts another token in the place of each"
        raise InputError("prompt", f"is {counted(count, by)}, and {rest}", hint)
    if request.pairs and math.comb(count, 2) > MAX_PAIRS:
        reason = f"{count} {by}s make {math.comb(count, 2):,} pairs, and {MAX_PAIRS:,} are allowed"
        raise UsageError("--pairs", reason, "--by sentence makes fewer")


def _check_memory(model: OpenModel, known: _Known) -> None:
    """Raise ResourceError where the prompt and a batch of its copies cannot fit."""
    from gptcli.engine.asking.edits import largest_batch

    runner = model.runner
    tokens = len(known.prompt) + max(map(len, known.rows), default=1)
    rows = largest_batch(runner, tokens, rewinds=not runner.spec.carrying)
    # Those of the texts after a batch are copies of it again, one batch at a time.
    needed = runner.spec.cache_bytes(tokens, runner.facts.itemsize, 1 + 2 * rows)
    needs = f"{counted(len(known.prompt), 'token')} and copies of their states need"
    memory.check("prompt", needs, needed, runner.facts.device)


def _whole(
    prefix: PrefixCache, request: WhyRequest, known: _Known
) -> tuple[list[list[int]], list[list[float]]]:
    """What follows, the target first, and its log-probabilities after the whole prompt."""
    from gptcli.engine import arrays
    from gptcli.engine.asking.continuations import logprobs_from
    from gptcli.engine.asking.sampling import check_finite

    rows, logits = known.rows, prefix.prefill(known.prompt)
    if request.target is None:
        check_finite(logits)
        (best,) = arrays.top_ids(logits, 1).tolist()
        rows = [best, *rows]
    return rows, logprobs_from(prefix.runner, prefix.state, logits, [rows])[0]


def _without(
    prefix: PrefixCache,
    prompt: list[int],
    spans: Sequence[tuple[int, int]],
    rows: Sequence[Sequence[int]],
    put: int | None,
    *,
    pairs: bool,
) -> Iterator[Without]:
    from gptcli.engine.asking.edits import Edit

    edits = [Edit(start, stop, put) for start, stop in spans]
    for at, odds in enumerate(_odds(prefix, prompt, edits, rows)):
        yield Without((at,), odds)
    for at, first in enumerate(edits[:-1] if pairs else ()):
        # The others are left out of what the first leaves, which is not computed again for each.
        left, shift = first.of(prompt), first.shift
        prefix.prefill(left)
        others = [Edit(e.start - shift, e.stop - shift, put) for e in edits[at + 1 :]]
        for other, odds in enumerate(_odds(prefix, left, others, rows), at + 1):
            yield Without((at, other), odds)


def _odds(
    prefix: PrefixCache, prompt: list[int], edits: Sequence[Edit], rows: Sequence[Sequence[int]]
) -> Iterator[Odds]:
    from gptcli.engine.asking.edits import logprobs_of_edits

    for batch in logprobs_of_edits(prefix, prompt, edits, rows):
        for each in batch:
            yield Odds(*map(math.fsum, each))
