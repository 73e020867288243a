"""Many questions at once: they come and go while others are answered beside them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from gptcli.errors import GptcliError
from gptcli.types.question import Question


@dataclass(frozen=True)
class Asked:
    """A question, and the number by which its answer is told. No two that are open share one."""

    key: int
    question: Question[Any]


@dataclass(frozen=True)
class Gone:
    """Whoever asked has left: the work stops, and nothing more is told of this key."""

    key: int


class Incoming(Protocol):
    """Where questions come from."""

    def take(self, *, wait: bool, room: bool = True) -> Asked | Gone | None:
        """The next that came, None where there is none now.

        wait: only return None where none will ever come again. room: whether a question may be
        among them; whoever is full does not wait, but has to hear of those who left.
        """
        ...


@dataclass(frozen=True)
class Told:
    """A part of an answer.

    part: an event of a question that is answered by an iterator, else the whole answer.
    """

    key: int
    part: Any


@dataclass(frozen=True)
class Ended:
    """An answer is over, whole or by an error; the last that is told of a key."""

    key: int
    error: GptcliError | None = None


@dataclass(frozen=True)
class BatchRequest(Question[Iterator[Told | Ended]]):
    """Everything that comes in, answered side by side as far as the place can.

    What one question is answered depends on nothing but itself. The parts of an answer come in
    their order, those of different keys mixed; each key that was not Gone ends. Over once
    `incoming` is, and all keys ended. most: how many are answered at once, None for what the
    place thinks best.
    """

    asks = "answer many questions at once"

    incoming: Incoming
    most: int | None = None
