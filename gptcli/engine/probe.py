"""What looks on while a model runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from gptcli.engine.arrays import Array
from gptcli.engine.points import Point

__all__ = ["EachRow", "Point", "Probe", "Together", "Watching", "of_row"]


class Probe(Protocol):
    """Looks on while one row runs. It must not change an array, and copies what it keeps."""

    @property
    def positions(self) -> range:
        """Those of the row that it wants to see; of keys, all before them too that are there."""
        ...

    def wants(self, point: Point, layer: int) -> bool:
        """Whether it has a use for this."""
        ...

    def __call__(self, point: Point, layer: int, array: Array, start: int) -> None:
        """Be shown an array, whose first token stands at position `start`.

        It may be shown more points and positions than it wants.
        """
        ...


class EachRow:
    """Probes that look on while a batch runs: each is shown its own row, as if that ran alone."""

    def __init__(self, probes: Sequence[Probe]) -> None:
        self.probes = tuple(probes)


Watching = Probe | EachRow


def of_row(watching: Watching, row: int, rows: int) -> Probe:
    """The probe of a row. Raises ValueError where there is not one for each of so many rows."""
    probes = watching.probes if isinstance(watching, EachRow) else (watching,)
    if len(probes) != rows:
        raise ValueError(f"{len(probes)} probes look on while {rows} rows run")
    return probes[row]


class Together:
    """One probe that is several."""

    def __init__(self, *probes: Probe) -> None:
        self._probes = probes

    @property
    def positions(self) -> range:
        """See Probe."""
        every = [probe.positions for probe in self._probes]
        return range(min(each.start for each in every), max(each.stop for each in every))

    def wants(self, point: Point, layer: int) -> bool:
        """See Probe."""
        return any(probe.wants(point, layer) for probe in self._probes)

    def __call__(self, point: Point, layer: int, array: Array, start: int) -> None:
        """See Probe."""
        for probe in self._probes:
            probe(point, layer, array, start)
