"""Which model computed the numbers: for people, and as fields of JSON."""

from __future__ import annotations

from typing import Any, Protocol


class Computed(Protocol):
    """What knows who computed it: a Source, a Usage."""

    @property
    def model(self) -> str:
        """Its name."""
        ...

    @property
    def device(self) -> str:
        """Where it ran."""
        ...

    @property
    def dtype(self) -> str:
        """The precision it ran in."""
        ...

    @property
    def adapters(self) -> tuple[str, ...]:
        """The adapters that were added to it."""
        ...


def fields(of: Computed) -> dict[str, Any]:
    """`model`, `device`, `dtype`, and `adapters` where there are any."""
    return {"model": of.model, "device": of.device, "dtype": of.dtype} | adapters(of)


def adapters(of: Computed) -> dict[str, Any]:
    """The field `adapters`, where there are any."""
    return {"adapters": list(of.adapters)} if of.adapters else {}


def named(of: Computed) -> str:
    """The model's name, and those of its adapters."""
    return " + ".join((of.model, *of.adapters))
