"""The side of a cluster that has the questions: it fills workers up, and replaces lost ones."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from gptcli.backends.base import refuse
from gptcli.backends.cluster.connection import connected
from gptcli.backends.cluster.worker import Found, Worker
from gptcli.backends.place import place_of, unencrypted
from gptcli.errors import NetworkError, ResourceError
from gptcli.types.batch import Asked, BatchRequest, Ended, Gone, Told
from gptcli.types.compute import Compute
from gptcli.types.question import Question

A = TypeVar("A")

#: How many questions a worker has where nobody says: enough for a batch, and some to go on with.
_AHEAD = 64
#: A question whose worker was lost so often may be what loses it.
_MOST_TRIES = 3
#: Workers that are lost one after the other without an answer: then there is no use in others.
_MOST_LOST = 8


@dataclass
class _Place:
    """A worker as the driver sees it: its actor, what it was asked, and the call that waits."""

    actor: Any
    open: dict[int, Asked] = field(default_factory=dict)
    waiting: Any = None


class RayBackend:
    """A cluster, and one backend for each of its workers."""

    def __init__(self, compute: Compute, address: str, workers: int | None) -> None:
        """workers: None for one on each GPU, or where there are none on each machine.

        Raises UsageError where ray is not installed, NetworkError where no cluster is there, and
        what `place_of` raises.
        """
        # Here, where the user's settings and keys are: workers may be on machines without them.
        place = place_of(compute)
        self.notices = () if place is None else tuple(unencrypted(place))
        self._ray = connected(address)
        away = place is not None or compute.device == "cpu"
        gpus = 0 if away else int(self._ray.cluster_resources().get("GPU", 0))
        nodes = sum(bool(node["Alive"]) for node in self._ray.nodes())
        self._count = workers or gpus or nodes
        needs = {"num_gpus": 1} if gpus >= self._count else {}
        # Two threads: one gives, one waits. Spread, so that machines share the work.
        options = {"num_cpus": 1, "max_concurrency": 2, "scheduling_strategy": "SPREAD", **needs}
        self._worker = self._ray.remote(Worker).options(**options)
        self._arguments = (compute, place, str(Path.cwd()))
        self._places: list[_Place] = []
        self._lost = 0

    def supports(self, kind: type[Question[Any]]) -> bool:
        """See Backend.supports."""
        return kind is BatchRequest

    def answer(self, question: Question[A]) -> A:
        """See Backend.answer."""
        if isinstance(question, BatchRequest):
            return self._answered(question)  # type: ignore[return-value]
        return refuse("--ray", question, "since it is for many rows")

    def close(self) -> None:
        """See Backend.close."""
        for place in self._places:
            self._ray.kill(place.actor)
        self._places.clear()
        self._ray.shutdown()

    def _answered(self, request: BatchRequest) -> Iterator[Told | Ended]:
        again: deque[Asked] = deque()
        tries: dict[int, int] = {}
        gone: set[int] = set()
        self._places = [self._new() for _ in range(self._count)]
        over = False
        while True:
            over = self._give(request, again, gone, over=over)
            pending = {each.waiting: each for each in self._places if each.open}
            if not pending:
                if over and not again:
                    return
                continue
            # Where more may come, nothing is waited for long.
            ready, _ = self._ray.wait(list(pending), timeout=None if over else 0.05)
            for call in ready:
                place = pending[call]
                try:
                    found: list[Found] = self._ray.get(call)
                except self._ray.exceptions.RayTaskError as raised:
                    # Our own error, as it was raised there.
                    raise raised.cause from None
                except self._ray.exceptions.RayError as lost:
                    yield from self._replace(place, again, tries, lost)
                    continue
                self._lost = 0
                place.waiting = place.actor.found.remote()
                for key, parts, error in found:
                    del place.open[key]
                    if key in gone:
                        gone.discard(key)
                        continue
                    yield from (Told(key, part) for part in parts)
                    yield Ended(key, error)

    def _give(
        self, request: BatchRequest, again: deque[Asked], gone: set[int], *, over: bool
    ) -> bool:
        """Fill the workers up, the emptiest first; whether no more will come."""
        most = request.most or _AHEAD
        given: dict[int, list[Asked]] = {}
        while True:
            at = min(range(len(self._places)), key=lambda at: len(self._places[at].open))
            place = self._places[at]
            room = len(place.open) < most
            idle = not any(each.open for each in self._places)
            asked = again.popleft() if again and room else None
            if asked is None and not over:
                came = request.incoming.take(wait=idle, room=room)
                over = came is None and idle
                if isinstance(came, Gone):
                    gone.add(came.key)
                    continue
                asked = came
            if asked is None:
                break
            place.open[asked.key] = asked
            given.setdefault(at, []).append(asked)
        for at, questions in given.items():
            self._places[at].actor.ask.remote(questions)
        return over

    def _new(self) -> _Place:
        place = _Place(self._worker.remote(*self._arguments))
        place.waiting = place.actor.found.remote()
        return place

    def _replace(
        self, place: _Place, again: deque[Asked], tries: dict[int, int], error: Exception
    ) -> Iterator[Ended]:
        """Put another worker in the place of one that is lost; ask again what it had."""
        self._lost += 1
        if self._lost > _MOST_LOST:
            reason = f"{self._lost} workers were lost one after the other"
            raise NetworkError("--ray", reason, str(error).splitlines()[0][:200]) from None
        for key, asked in place.open.items():
            tries[key] = tries.get(key, 0) + 1
            if tries[key] < _MOST_TRIES:
                again.append(asked)
            else:
                reason = f"the worker was lost {_MOST_TRIES} times while it was answered"
                yield Ended(key, ResourceError("--ray", reason))
        self._places[self._places.index(place)] = self._new()
