"""What a row asks, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from gptcli.errors import GptcliError
from gptcli.types.question import Question
from gptcli.types.rows import Row

Id = str | int | None


@dataclass(frozen=True)
class Wanted:
    """What a row asks by itself.

    id: what the row calls itself. seeded: it says its seed; else that comes from the run's. own: it
    says settings of its own, so that one that cannot be is its own fault. openai: it is a line of
    OpenAI's batch files, and so is its result. form: what its result is written by, beside that.
    """

    question: Question[Any]
    id: Id = None
    seeded: bool = False
    own: bool = False
    openai: bool = False
    form: tuple[tuple[str, Any], ...] = ()


class Dialect(Protocol):
    """How rows ask one kind of question. columns: of these a table must have one."""

    @property
    def columns(self) -> tuple[str, ...]:
        """What asks, by its names."""
        ...

    def wanted(self, row: Row) -> Wanted:
        """What a row asks. Raises InputError for one that is none of this dialect."""
        ...


@dataclass(frozen=True)
class AskedRow:
    """A row, and what it asks: `wanted`, or why nothing: `fault`.

    place: which of this run's rows it is, from 0. key: what its result is known by, see
    `keys.key_of`; empty where there is a fault.
    """

    place: int
    row: Row
    wanted: Wanted | None
    key: str
    id: Id = None
    fault: GptcliError | None = None
    openai: bool = False


@dataclass(frozen=True)
class Outcome:
    """A row with what it was answered: the parts of an answer, or an error."""

    asked: AskedRow
    parts: tuple[Any, ...] = ()
    error: GptcliError | None = None
