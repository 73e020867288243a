"""What follows a prompt while parts of the model are off."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING

from gptcli.backends.local import completion
from gptcli.backends.local.open_model import OpenModel
from gptcli.backends.local.switching import Switches, check_parts, parts_of, switched_off
from gptcli.backends.local.targets import check_memory, known_of, scored, whole
from gptcli.errors import UsageError
from gptcli.types.ablate import (
    AblateAsked,
    Ablated,
    AblatedCompletionRequest,
    AblateRequest,
    Off,
)
from gptcli.types.completion import Event
from gptcli.types.events import Notice
from gptcli.types.model_part import ModelPart
from gptcli.types.why import Odds

if TYPE_CHECKING:
    from gptcli.engine.edits import Edit

Steps = Sequence[tuple[ModelPart, ...]]


def answer(model: OpenModel, request: AblateRequest) -> Iterator[AblateAsked | Ablated]:
    """See AblateRequest.

    Raises UsageError for parts that the model does not have, InputError for a target without a
    token and a reference text that is too short, ContextError, ResourceError where memory is
    short, and NonFiniteError.
    """
    from gptcli.engine.asking.prefix import PrefixCache
    from gptcli.engine.probes.effects import Variant, effects

    plain = model.runner
    known = known_of(model, request.prompt, request.target, request.versus, special=request.special)
    steps, always = _steps(model, request, len(known.prompt))
    check_memory(model, known.prompt, known.rows)
    longest = len(known.prompt) + max(map(len, known.rows), default=1)
    parts = [*always, *chain.from_iterable(steps)]
    switches = Switches(model, request.off, parts, len(known.prompt), longest)
    reference = switches.reference
    base = _edits(switches, always)
    prefix = PrefixCache(plain.edited(base), comes_back=False)
    rows, logprobs = whole(prefix, known.prompt, known.rows, likeliest=request.target is None)
    untouched: Odds | None = None
    if base:
        found = effects(PrefixCache(plain, comes_back=False), known.prompt, rows, [Variant(())])
        untouched = Odds(*map(math.fsum, next(found)[0]))
    target, *versus = scored(model, rows, logprobs)
    yield AblateAsked(
        request=request,
        source=model.source,
        layers=plain.spec.layers,
        tokens=tuple(map(model.token, known.prompt)),
        steps=tuple(steps),
        always=always,
        target=target,
        versus=versus[0] if versus else None,
        likeliest=request.target is None,
        whole=untouched,
        reference_tokens=0 if reference is None else reference.tokens,
        notices=(*known.notices, *_notices(request.off, parts, switches)),
    )
    variants = (Variant(tuple(_edits(switches, step))) for step in steps)
    place = 0
    for batch in effects(prefix, known.prompt, rows, variants):
        for each in batch:
            yield Ablated(place, Odds(*map(math.fsum, each)))
            place += 1


def completed(model: OpenModel, request: AblatedCompletionRequest) -> Iterator[Event]:
    """See AblatedCompletionRequest. Raises as `answer` and the completion do."""
    asked, off = request.request, request.off
    count = len(model.encode(asked.prompt, special=asked.special))
    check_parts(model, off.parts, count)
    limit = model.runner.limit
    more = limit if asked.max_new_tokens is None else asked.max_new_tokens
    switches = Switches(model, off, off.parts, count, min(count + more, limit))
    edits = _edits(switches, off.parts)
    yield from _notices(off, off.parts, switches)
    yield from completion.answer(switched_off(model, edits), asked)


def _edits(switches: Switches, parts: Sequence[ModelPart]) -> list[Edit]:
    return [edit for part in parts for edit in switches.edits(part)]


def _steps(
    model: OpenModel, request: AblateRequest, tokens: int
) -> tuple[Steps, tuple[ModelPart, ...]]:
    """What is switched off together in each step, and what is off in all of them."""
    off = tuple(dict.fromkeys(request.off.parts))
    check_parts(model, off, tokens)
    if request.each is None:
        if not off:
            raise UsageError("--each", "or --off has to say what is switched off")
        return [*((part,) for part in off), *([off] if len(off) > 1 else [])], ()
    parts = parts_of(model, request.each, tokens)
    return [(part,) for part in parts if part not in off], off


def _notices(off: Off, parts: Sequence[ModelPart], switches: Switches) -> Iterator[Notice]:
    if switches.reference is not None:
        yield from switches.reference.notices
    if off.put != "zero" and any(part.kind == "expert" for part in parts):
        text = f"nothing is put in the place of experts: their share is 0, not {off.put}"
        yield Notice("--with", text)
