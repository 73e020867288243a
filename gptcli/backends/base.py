"""What every place to run can do: answer questions."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Any, NoReturn, Protocol, TypeVar

from gptcli.errors import UsageError
from gptcli.types.question import Question

A = TypeVar("A")


class Backend(Protocol):
    """A place where questions are answered. Which ones, `supports` tells."""

    def answer(self, question: Question[A]) -> A:
        """The answer; where that is an iterator, it is computed as it is asked for.

        Nothing of an iterator runs before its first event, and closing it stops the work. Events
        are chunks as they come, notices where due, and one usage last. Raises UsageError for a
        question that this place cannot answer, and the errors of `gptcli.errors`; what came
        before one stands.
        """
        ...

    def supports(self, kind: type[Question[Any]]) -> bool:
        """Whether questions of this class are answered here."""
        ...

    def close(self) -> None:
        """Let go of what is held: memory, connections. Nothing is asked afterwards."""
        ...


def parts_of(answer: Any) -> Generator[Any, None, None]:
    """The parts of an answer as they come, or the whole of one that has none.

    What is not asked for any more is not computed any more: closing this closes the answer.
    """
    if isinstance(answer, Iterator):
        yield from answer
    else:
        yield answer


def refuse(place: str, question: Question[Any], why: str, hint: str | None = None) -> NoReturn:
    """Raise the UsageError for what a place cannot answer."""
    raise UsageError(place, f"cannot {question.asks}, {why}", hint)
