"""What follows a prompt without each of its parts."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from gptcli.backends.local.looking import one_token
from gptcli.backends.local.open_model import OpenModel
from gptcli.backends.local.targets import Known, check_memory, known_of, scored, whole
from gptcli.errors import InputError, UsageError
from gptcli.text import units
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
    known = known_of(model, request.prompt, request.target, request.versus, special=request.special)
    parts = _parts(model, request, known)
    _check_parts(request, known, parts)
    check_memory(model, known)
    prefix = PrefixCache(model.runner, comes_back=False)
    rows, logprobs = whole(prefix, known, likeliest=request.target is None)
    target, *versus = scored(model, rows, logprobs)
    yield Asked(
        request=request,
        source=model.source,
        tokens=tuple(map(model.token, known.prompt)),
        parts=tuple(parts),
        target=target,
        versus=versus[0] if versus else None,
        likeliest=request.target is None,
        put=None if put is None else model.token(put),
        notices=known.notices,
    )
    spans = [(each.first, each.first + len(each.tokens)) for each in parts]
    yield from _without(prefix, known.prompt, spans, rows, put, pairs=request.pairs)


_REPLACE = ("--replace", "can stand for another")


def _parts(model: OpenModel, request: WhyRequest, known: Known) -> list[Part]:
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


def _check_parts(request: WhyRequest, known: Known, parts: Sequence[Part]) -> None:
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
