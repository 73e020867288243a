"""Measuring an open model: what fits, then a round of all measures after the other."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass

from gptcli.backends.local import memory
from gptcli.backends.local.open_model import OpenModel
from gptcli.backends.local.stopwatch import Measure, Stopwatch
from gptcli.errors import ContextError
from gptcli.types.bench import (
    BATCH_NEW,
    BATCH_PROMPT,
    DEPTHS,
    BenchRequest,
    DecodeSpeed,
    Rounds,
    Speeds,
)
from gptcli.types.events import Notice, Progress

_PREFILL, _BATCH, _BANDWIDTH = "prefill", "batch", "read bandwidth"


@dataclass(frozen=True)
class _Task:
    """Something to measure, on so many new tokens."""

    label: str
    measure: Measure
    new_tokens: int = 1


def answer(
    model: OpenModel, request: BenchRequest, clock: Callable[[], float] = time.perf_counter
) -> Generator[Progress | Notice, None, Speeds]:
    """How fast the model is; of the measures, those that need no process of their own.

    Yields how many rounds of each measure are done. Raises ContextError, before anything is
    measured, where one does not fit into the context, ResourceError. `clock` gives seconds.
    """
    depths = _depths(model, request)
    _check(model, request, depths)
    if depths and request.depths is None and len(depths) < len(DEPTHS):
        left = ", ".join(str(depth) for depth in DEPTHS if depth not in depths)
        text = f"{left} is left out: with {request.new_tokens} new tokens it is more than the"
        yield Notice("--depth", f"{text} context of {model.runner.limit}")
    tasks = list(_tasks(Stopwatch(model.runner, clock), request, depths))
    # A round that does not count: what is done once, such as bringing weights in, is done there.
    for task in tasks:
        yield Progress(task.label, 0, request.rounds)
        task.measure(task.new_tokens)
    found: dict[str, tuple[float, ...]] = {task.label: () for task in tasks}
    # All measures in each round: what else the machine does falls on all of them alike.
    for done in range(1, request.rounds + 1):
        for task in tasks:
            found[task.label] += (task.measure(task.new_tokens),)
            yield Progress(task.label, done, request.rounds)
    return _speeds(
        model, request, depths, {label: Rounds(values) for label, values in found.items()}
    )


def _depths(model: OpenModel, request: BenchRequest) -> tuple[int, ...]:
    if "decode" not in request.measures:
        return ()
    if request.depths is not None:
        return request.depths
    room = model.runner.limit - request.new_tokens
    return tuple(depth for depth in DEPTHS if depth <= room) or DEPTHS[:1]


def _check(model: OpenModel, request: BenchRequest, depths: Sequence[int]) -> None:
    """Raise ContextError where a measure does not fit, ResourceError where memory is short."""
    uses = [("--depth", depth, request.new_tokens, 1) for depth in depths]
    if "prefill" in request.measures:
        uses.append(("--prompt-tokens", request.prompt_tokens, 1, 1))
    if "batch" in request.measures:
        uses.append(("--measure batch", BATCH_PROMPT, BATCH_NEW, request.batch))
    runner, needed = model.runner, 0
    for subject, before, new, rows in uses:
        if before + new > runner.limit:
            reason = f"{before} tokens and {new} new make {before + new}, more than the context"
            raise ContextError(subject, f"{reason} of {runner.limit}")
        # Those of the depths are kept from round to round.
        needed += runner.spec.cache_bytes(before + new, runner.facts.itemsize, rows)
        memory.check(
            subject,
            f"KV caches{' and states' * bool(runner.spec.row_bytes)} need",
            needed,
            runner.facts.device,
        )


def _tasks(watch: Stopwatch, request: BenchRequest, depths: Sequence[int]) -> Iterator[_Task]:
    if "prefill" in request.measures:
        yield _Task(_PREFILL, watch.prefill(request.prompt_tokens))
    for depth in depths:
        yield _Task(_decode(depth), watch.decode(depth), request.new_tokens)
    if "batch" in request.measures:
        yield _Task(_BATCH, watch.batch(request.batch), BATCH_NEW)
    if depths:
        yield _Task(_BANDWIDTH, watch.bandwidth())


def _decode(depth: int) -> str:
    return f"decode at {depth}"


def _speeds(
    model: OpenModel, request: BenchRequest, depths: Sequence[int], found: dict[str, Rounds]
) -> Speeds:
    from gptcli.engine.host.traffic import cache_bytes

    spec, facts, new = model.runner.spec, model.runner.facts, request.new_tokens
    weights = facts.weight_bytes
    reads = [weights + cache_bytes(spec, facts.itemsize, depth, new) for depth in depths]
    return Speeds(
        source=model.source,
        threads=facts.threads,
        kernels=facts.instructions,
        weight_bytes=weights,
        prefill=found.get(_PREFILL),
        decode=tuple(
            DecodeSpeed(depth, found[_decode(depth)], read)
            for depth, read in zip(depths, reads, strict=True)
        ),
        batch=found.get(_BATCH),
        bandwidth=found.get(_BANDWIDTH),
        state_bytes=spec.row_bytes,
    )
