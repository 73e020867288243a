"""What the tokens so far have left in a model: a state for each layer, and how long the rows are.

Of numpy or torch, as its owner computes.
"""

from __future__ import annotations

import copy
import weakref
from collections.abc import Iterator, Sequence

from gptcli.engine.arrays import Array, indices, rounded_up
from gptcli.engine.host.memory import LEAST_TOKENS
from gptcli.engine.model.layer_shape import LayerShape
from gptcli.engine.model.spec import ModelSpec
from gptcli.engine.state.forward_state import ForwardState
from gptcli.engine.state.joint_state import JointState
from gptcli.engine.state.keys_values import KeysValues
from gptcli.engine.state.layer_state import LayerState
from gptcli.engine.state.recurrent_state import RecurrentState
from gptcli.engine.state.snapshot import Snapshot
from gptcli.engine.state.windowed import WindowedKeysValues

#: Tokens by which room for them grows, so that a token costs no copy of what is there.
GROWTH = LEAST_TOKENS
#: Of a layer in which tokens do not meet, or which meets keys and values of another.
NOTHING = LayerShape(heads=0, kv_heads=0, head_dim=0, hidden=0)


class ModelState(ForwardState):
    """The states of all layers, for rows each of its own length, up to `limit` tokens.

    like: an array of the kind and on the device that the forward computes with. group: the tokens
    that some layer keeps together; a capacity has whole groups.
    """

    def __init__(
        self,
        layers: Sequence[LayerState],
        batch: int,
        like: Array,
        *,
        limit: int,
        group: int = 1,
    ) -> None:
        self.layers = list(layers)
        self.limit = limit
        self._lengths = [0] * batch
        #: Tokens per row that every layer has room for.
        self.capacity = 0
        self.under_way: list[int] | None = None
        self._like, self.group = like, group
        self._grows = False
        #: For how many tokens more no layer has to move what it holds.
        self._free = 0
        self._snapshots: weakref.WeakSet[Snapshot] = weakref.WeakSet()

    @property
    def lengths(self) -> list[int]:
        """See ForwardState."""
        return self._lengths

    @property
    def bytes(self) -> int:
        """Bytes held on the device."""
        return sum(layer.bytes for layer in self.layers)

    @property
    def rewinds(self) -> bool:
        """Whether it can always go back, to any length."""
        return all(layer.rewinds for layer in self.layers)

    @property
    def steady(self) -> bool:
        """Whether it can always go back by some tokens; see LayerState."""
        return all(layer.steady for layer in self.layers)

    @property
    def span(self) -> int:
        """How many tokens of a row a place keeps by itself at the least: 0 where that is no matter
        of tokens.
        """
        return max((each.sight.reach or 0 for each in self._windows()), default=0)

    def reserve(self, counts: list[int], ahead: list[int] | None = None) -> None:
        """See ForwardState. The rows are padded to the largest.

        Raises ValueError beyond the limit: whoever calls has counted before, so that is a bug.
        """
        ahead = ahead or counts
        real = max(n + count for n, count in zip(self.lengths, ahead, strict=True))
        if real > self.limit:
            raise ValueError(f"{real} tokens do not fit into a cache of {self.limit}")
        used = max(self.lengths)
        needed = used + max(ahead)
        if needed > self.capacity:
            # Said first: an interruption may leave some layers grown, and the next call goes on.
            self._grows = True
            wanted = max(needed, min(self.room(needed), self.limit))
            self.capacity = rounded_up(wanted, self.group)
        if self._grows:
            # Layer by layer, so that only one layer is ever held twice.
            for layer in self.layers:
                layer.reserve(used, self.capacity)
            self._grows = False
        self._hold(max(counts))
        self.under_way = counts

    def room(self, needed: int) -> int:
        """For how many tokens to make room where so many are to stand in a row."""
        return rounded_up(needed, GROWTH)

    def advance(self, counts: list[int]) -> None:
        """See ForwardState."""
        self._lengths = [n + count for n, count in zip(self.lengths, counts, strict=True)]
        self.under_way = None

    def can_truncate(self, lengths: Sequence[int]) -> bool:
        """Whether every layer can go back to where no row is longer than its number here."""
        after = self._shorter(lengths)
        if self.under_way is not None and any(after) and not self.steady:
            # Some layers may have taken in tokens that are not counted.
            return False
        return all(layer.can_truncate(self.lengths, after) for layer in self.layers)

    def truncate(self, lengths: Sequence[int]) -> bool:
        """Forget what stands in each row from its number here on, where it is that long.

        False, and nothing done, where a layer cannot go back there.
        """
        if not self.can_truncate(lengths):
            return False
        before, after = self.lengths, self._shorter(lengths)
        self._go_back(after)
        for layer in self.layers:
            layer.truncate(before, after)
        self._lengths, self.under_way = after, None
        return True

    def clear(self) -> None:
        """Forget all tokens, which is always possible."""
        self.truncate([0] * self.batch)

    def snapshot(self, lengths: Sequence[int] | None = None) -> Snapshot:
        """This place, to come back to. A layer that can go back by itself is not copied.

        lengths: those of a place before it, to which the state, which is steady, could go back.
        """
        every = self._rows(range(self.batch))
        layers = [layer.apart(every) for layer in self.layers]
        found = Snapshot(list(self.lengths if lengths is None else lengths), layers)
        self._snapshots.add(found)
        return found

    def restore(self, snapshot: Snapshot) -> bool:
        """Be as when the snapshot was taken. False, and nothing done, where it does not fit."""
        if not snapshot.fits or snapshot not in self._snapshots:
            return False
        self._go_back(snapshot.lengths)
        # What was copied may have had less room.
        self._grows, self._free = True, 0
        every = self._rows(range(self.batch))
        for index, (layer, kept) in enumerate(zip(self.layers, snapshot.layers, strict=True)):
            if kept is None:
                layer.truncate(self.lengths, snapshot.lengths)
            else:
                self.layers[index] = layer.restored(kept.picked(every))
        self._lengths, self.under_way = list(snapshot.lengths), None
        return True

    def at(self, length: int, like: Snapshot) -> Snapshot:
        """A place of one row, to be filled with what its layers keep; like: any of this state."""
        layers = [None if each is None else each.blank(length) for each in like.layers]
        found = Snapshot([length], layers)
        self._snapshots.add(found)
        return found

    def pick(self, rows: list[int]) -> None:
        """Keep these rows only, in this order; a row may be named more than once."""
        self._snapshots, self._free = weakref.WeakSet(), 0
        self._lengths = [self._lengths[row] for row in rows]
        index = self._rows(rows)
        for at, layer in enumerate(self.layers):
            self.layers[at] = layer.picked(index)

    def picked(self, rows: list[int]) -> ModelState:
        """A new state of these rows, as `pick` would leave them; this one stays as it is."""
        other = copy.copy(self)
        other.layers = list(self.layers)
        other.pick(rows)
        return other

    def _hold(self, count: int) -> None:
        """Make room for `count` more tokens of each row in layers that do not hold all."""
        left, self._free = self._free - count, 0
        if left < 0:
            for window in self._windows():
                window.hold(self.lengths, count)
            left = min((each.free(self.lengths) for each in self._windows()), default=self.limit)
            left -= count
        self._free = left

    def _windows(self) -> Iterator[WindowedKeysValues]:
        return (layer for layer in self.layers if isinstance(layer, WindowedKeysValues))

    def _shorter(self, lengths: Sequence[int]) -> list[int]:
        return [min(pair) for pair in zip(self.lengths, lengths, strict=True)]

    def _rows(self, rows: Sequence[int]) -> Array:
        return indices(rows, self._like)

    def _go_back(self, lengths: list[int]) -> None:
        """What is done before a layer goes back: until all have, nothing is sure."""
        self.under_way = [0] * self.batch
        for snapshot in self._snapshots:
            behind = any(n < kept for n, kept in zip(lengths, snapshot.lengths, strict=True))
            snapshot.fits = snapshot.fits and not behind


def new_state(
    spec: ModelSpec,
    batch: int,
    like: Array,
    *,
    limit: int | None = None,
    group: int = 1,
    kind: type[ModelState] = ModelState,
) -> ModelState:
    """The empty state of a model for `batch` rows, of at most `limit` tokens or its context.

    like, group: see KeysValues; a mixer's features are padded to as much.
    """
    most = min(limit or spec.context, spec.context)
    layers: list[LayerState] = []
    near = spec.near(most)
    for each, shape in zip(spec.each_layer, spec.shapes, strict=True):
        if len(layers) in near:
            layers.append(WindowedKeysValues(shape, batch, like, each.sight, group=group))
            continue
        attention = KeysValues(shape if each.keeps else NOTHING, batch, like, group=group)
        if each.mixer is None:
            layers.append(attention)
            continue
        mixer = RecurrentState(each.mixer, batch, like, multiple=group)
        layers.append(JointState(attention, mixer) if each.attends else mixer)
    return kind(layers, batch, like, limit=most, group=group)
