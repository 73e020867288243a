"""What can be asked of a place to run, and of which type its answer is."""

from __future__ import annotations

from typing import ClassVar, Generic, TypeVar

A_co = TypeVar("A_co", covariant=True)


class Question(Generic[A_co]):
    """A question whose answer is an A: plain values, the same wherever it is answered.

    asks: what a place would have to be able to do, for the sentence in which it refuses.
    """

    asks: ClassVar[str]
