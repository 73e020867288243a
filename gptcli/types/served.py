"""What a process and a server of the same gptcli tell each other, beside questions and answers."""

from __future__ import annotations

from dataclasses import dataclass

from gptcli.types.compute import Compute
from gptcli.types.events import Notice
from gptcli.types.question import Question


@dataclass(frozen=True)
class FileState:
    """A file as it was: its size in bytes, when it was written and last changed, and its number.

    Times are in nanoseconds. state: None where it was not there.
    """

    path: str
    state: tuple[int, int, int, int] | None


@dataclass(frozen=True)
class Greeting:
    """What a server says first.

    stands_on: the files that its answers come from, as they were when it read them. path: of the
    model, where its name has to be looked up again to know that it still means the same. notices:
    what opening the model had to tell; of_weights: what its weights had.
    """

    stands_on: tuple[FileState, ...]
    path: str | None = None
    notices: tuple[Notice, ...] = ()
    of_weights: tuple[Notice, ...] = ()


@dataclass(frozen=True)
class Over:
    """The answer is over, and was whole."""


@dataclass(frozen=True)
class Busy:
    """The question is not taken."""

    reason: str


@dataclass(frozen=True)
class StatusRequest(Question["Status"]):
    """How the server itself is."""

    asks = "tell how it is"


@dataclass(frozen=True)
class Status:
    """A server: its process, its model and settings in words, and how it is.

    socket: where it listens. since: when it was ready, in seconds since 1970; memory: bytes that
    it holds in main memory, None where the system does not tell; open: questions under way;
    idle_seconds: for how long there was none, and leaves_after: after how many it leaves, None for
    never. log: its file. address: that of its HTTP, where it has one.
    """

    pid: int
    socket: str
    model: str
    settings: str
    since: float
    memory: int | None
    open: int
    idle_seconds: float
    leaves_after: float | None
    log: str | None = None
    address: str | None = None


@dataclass(frozen=True)
class Launch:
    """What a server in the background is started with.

    log: its file. idle_seconds: without a question, after which it leaves; None for never.
    """

    compute: Compute
    log: str
    idle_seconds: float | None
