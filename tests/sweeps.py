"""Tests that are done for many values in turn, and counted as one."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from inspect import signature
from typing import Any

Test = Callable[..., None]


def in_turn(name: str, values: Iterable[Any]) -> Callable[[Test], Test]:
    """As `pytest.mark.parametrize`, but one test, which tells the value that it failed with.

    Where there are hundreds, each takes longer to be counted than to be done. Nothing that a test
    changes is as before for the next: it is for those that change nothing.
    """
    values = tuple(values)

    def decorated(test: Test) -> Test:
        @functools.wraps(test)
        def run(**given: Any) -> None:
            for value in values:
                try:
                    test(**{name: value}, **given)
                except Exception as error:
                    error.add_note(f"with {name} = {value!r}")
                    raise

        asked = signature(test)
        others = [each for key, each in asked.parameters.items() if key != name]
        run.__signature__ = asked.replace(parameters=others)  # type: ignore[attr-defined]
        return run

    return decorated
