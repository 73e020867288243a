"""Places in a text to which a state can come back that cannot go back by itself."""

from __future__ import annotations

from gptcli.engine.arrays import Array
from gptcli.engine.state.snapshot import Snapshot
from gptcli.plain import dataclass

#: What bounds them: how many, and their bytes, which are few beside those of the weights: of large
#: models a share of these, since their states are larger too.
PLACES = 64
PLACE_BYTES, SHARE = 256 << 20, 16
#: How much likelier it is that somebody comes back to the end of a turn than to a place within one.
_ENDS = 4


@dataclass(frozen=True, eq=False)
class Place:
    """A snapshot of one row.

    end: a prompt or an answer ended here; logits: what came next, (1, vocab), where a prompt did.
    """

    snapshot: Snapshot
    end: bool = False
    logits: Array | None = None

    @property
    def length(self) -> int:
        """How many tokens stand before it."""
        return self.snapshot.lengths[0]


class KeptPlaces:
    """Those of one text, first to last, in bounded memory. weights: the bytes of the model's."""

    def __init__(self, weights: int) -> None:
        self._places: list[Place] = []
        self._most_bytes = max(PLACE_BYTES, weights // SHARE)

    def __len__(self) -> int:
        return len(self._places)

    @property
    def bytes(self) -> int:
        """What all of them hold on the device, what several hold counted once."""
        parts = {id(part): part for each in self._places for part in each.snapshot.parts}
        logits = (each.logits for each in self._places if each.logits is not None)
        return sum(part.bytes for part in parts.values()) + sum(int(x.nbytes) for x in logits)

    @property
    def end(self) -> int:
        """How many tokens stand before the last of them."""
        return self._places[-1].length if self._places else 0

    @property
    def snapshots(self) -> list[Snapshot]:
        """Those of all of them."""
        return [each.snapshot for each in self._places]

    def add(self, place: Place) -> None:
        """Keep a place behind all others, or the last one anew; the least useful ones go."""
        if self._places and self.end == place.length:
            del self._places[-1]
        self._places.append(place)
        while len(self._places) > PLACES or self.bytes > self._most_bytes:
            del self._places[self._least_useful()]

    def last(self, length: int) -> Place | None:
        """The last one with at most so many tokens before it."""
        self.forget()
        return next((each for each in reversed(self._places) if each.length <= length), None)

    def forget(self) -> None:
        """Let those go whose text is gone."""
        self._places = [each for each in self._places if each.snapshot.fits]

    def _least_useful(self) -> int:
        """Without it, whoever comes back to it runs again what stands behind the one before.

        The further back, the less likely that is: so places become rarer towards the beginning,
        and going back costs a share of how far one goes. The last one stays longest.
        """
        places = self._places
        if len(places) == 1:
            return 0

        def loss(at: int) -> float:
            gap = places[at].length - (places[at - 1].length if at else 0)
            return gap * (_ENDS if places[at].end else 1) / (self.end - places[at].length)

        return min(range(len(places) - 1), key=loss)
