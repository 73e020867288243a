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
    def dtype(self) -> str | None:
        """The precision it ran in, None where a server does not say."""
        ...

    @property
    def server(self) -> str | None:
        """See `types.token.Source`."""
        ...

    @property
    def activations(self) -> str | None:
        """See `types.token.Source`."""
        ...

    @property
    def adapters(self) -> tuple[str, ...]:
        """The adapters that were added to it."""
        ...

    @property
    def steering(self) -> tuple[str, ...]:
        """The control vectors that were added to its stream."""
        ...


def fields(of: Computed) -> dict[str, Any]:
    """`model`, and what `run` tells."""
    return {"model": of.model} | run(of)


def run(of: Computed) -> dict[str, Any]:
    """`device` and `dtype`; `server`, `activations`, `adapters`, `steering` where there are any."""
    found: dict[str, Any] = {"device": of.device, "dtype": of.dtype}
    found |= {"server": of.server} if of.server else {}
    found |= {"activations": of.activations} if of.activations else {}
    found |= {"adapters": list(of.adapters)} if of.adapters else {}
    return found | ({"steering": list(of.steering)} if of.steering else {})


def precision(of: Computed) -> str:
    """`int8 with int8 activations on cpu`, `vLLM at http://127.0.0.1:8000/v1`."""
    if of.server:
        return of.server
    rounded = f" with {of.activations} activations" if of.activations else ""
    return f"{of.dtype}{rounded} on {of.device}"


def where(of: Computed) -> str:
    """`smollm2, bfloat16 on cpu`."""
    return f"{named(of)}, {precision(of)}"


def named(of: Computed) -> str:
    """The model's name, and those of its adapters and control vectors."""
    return " + ".join((of.model, *of.adapters, *of.steering))
