"""What follows a prompt without each of its parts."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from gptcli.backends.local.looking import one_token
from gptcli.backends.local.open_model import OpenModel
from gptcli.backends.local.targets import check_memory, scored, whole
from gptcli.backends.local.why_prompt import asked_prompt, parts_of
from gptcli.types.why import AskedWhy, Odds, WhyRequest, Without

if TYPE_CHECKING:
    from gptcli.engine.asking.prefix import PrefixCache
    from gptcli.engine.asking.variants import Variant


def answer(model: OpenModel, request: WhyRequest) -> Iterator[AskedWhy | Without]:
    """See WhyRequest.

    Raises InputError for a prompt of which nothing can be left out, for a target without a token
    and a replacement of more than one, UsageError for too many pairs, ContextError, ResourceError
    where memory is short, and NonFiniteError.
    """
    from gptcli.engine.asking.prefix import PrefixCache

    put = None if request.replace is None else one_token(model, request.replace, *_REPLACE)
    known = asked_prompt(model, request)
    parts = parts_of(model, request, known)
    check_memory(model, known.ids, known.rows)
    prefix = PrefixCache(model.runner, comes_back=False)
    rows, logprobs = whole(prefix, known.ids, known.rows, likeliest=request.target is None)
    target, *versus = scored(model, rows, logprobs)
    yield AskedWhy(
        request=request,
        source=model.source,
        tokens=tuple(map(model.token, known.ids)),
        parts=tuple(parts),
        target=target,
        versus=versus[0] if versus else None,
        likeliest=request.target is None,
        put=None if put is None else model.token(put),
        notices=known.notices,
    )
    spans = [(each.first, each.first + len(each.tokens)) for each in parts]
    yield from _without(prefix, known.ids, spans, rows, put, pairs=request.pairs)


_REPLACE = ("--replace", "can stand for another")


def _without(
    prefix: PrefixCache,
    prompt: list[int],
    spans: Sequence[tuple[int, int]],
    rows: Sequence[Sequence[int]],
    put: int | None,
    *,
    pairs: bool,
) -> Iterator[Without]:
    from gptcli.engine.asking.variants import Variant

    single = [Variant(start, stop, put) for start, stop in spans]
    for at, odds in enumerate(_odds(prefix, prompt, single, rows)):
        yield Without((at,), odds)
    for at, first in enumerate(single[:-1] if pairs else ()):
        # The others are left out of what the first leaves, which is not computed again for each.
        left, shift = first.of(prompt), first.shift
        prefix.prefill(left)
        others = [Variant(e.start - shift, e.stop - shift, put) for e in single[at + 1 :]]
        for other, odds in enumerate(_odds(prefix, left, others, rows), at + 1):
            yield Without((at, other), odds)


def _odds(
    prefix: PrefixCache,
    prompt: list[int],
    variants: Sequence[Variant],
    rows: Sequence[Sequence[int]],
) -> Iterator[Odds]:
    from gptcli.engine.asking.variants import logprobs_of_variants

    for batch in logprobs_of_variants(prefix, prompt, variants, rows):
        for each in batch:
            yield Odds(*map(math.fsum, each))
