"""What prompts have in common is computed once: with the prompt before, and with each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from gptcli.engine.arrays import Array, namespace
from gptcli.engine.asking.drafter import Drafter
from gptcli.engine.asking.drafter_pace import DrafterPace
from gptcli.engine.asking.kept_places import KeptPlaces, Place
from gptcli.engine.asking.pace import Pace
from gptcli.engine.prompts.common import common_length
from gptcli.engine.runner import CHUNK, Runner
from gptcli.engine.state.model_state import ModelState

if TYPE_CHECKING:
    from gptcli.engine.probe import Probe
    from gptcli.engine.prompts.kept_prompts import KeptPrompts
    from gptcli.types.events import Notice

#: Of a prompt of so many new tokens at least, a place so near its end is kept: what a template puts
#: before an answer stands there, which the next prompt may have otherwise.
LEAST, TAIL = 64, 16


class PrefixCache:
    """The state of one row, and the ids that it holds, kept from one prompt to the next.

    A prompt computes only what follows the longest beginning that it has in common with those
    ids; where the state cannot go back there, what follows the last place before it that was kept:
    at the ends of prompts and answers, shortly before those of prompts, every CHUNK tokens, and
    where a prompt and what was kept go apart. An interruption at any moment leaves it usable: ids
    are noted once every layer has taken them in.
    comes_back: whether other prompts follow, for which places are worth their memory. kept: prompts
    on the disk, of which a prompt takes what is not here. drafter: what drafts beside look-ups.
    """

    def __init__(
        self,
        runner: Runner,
        *,
        comes_back: bool = True,
        kept: KeptPrompts | None = None,
        drafter: Drafter | None = None,
    ) -> None:
        self.runner = runner
        self.drafter = drafter
        self.state = runner.new_state()
        self.kept = kept
        self._keeps = (comes_back or kept is not None) and not self.state.rewinds
        # Places together then hold about what the text does.
        self._every = max(CHUNK, self.state.span)
        self.ids: list[int] = []
        #: How many tokens of the last prompt, or of what the last prompts share, were here already;
        #: what came from the disk was not.
        self.reused = 0
        #: How many tokens the last prompts share.
        self.shared = 0
        self.places = KeptPlaces(runner.facts.weight_bytes)
        #: What drafts have cost and brought, from one text to the next.
        self.pace = Pace()
        self.drafter_pace = DrafterPace(self.pace)

    @property
    def length(self) -> int:
        """How many tokens are held."""
        return len(self.ids)

    def prefill(self, prompt: Sequence[int], *, probe: Probe | None = None) -> Array:
        """Make the state hold exactly this prompt, not empty; logits after it, (1, vocab).

        The last token runs, unless its logits were kept. `probe` sees what runs, that at least.
        """
        common = common_length(self.ids, prompt)
        if probe is None and common == len(prompt):
            place = self.places.last(common)
            if place is not None and place.length == common and place.logits is not None:
                self._go_back(common)
                if self.reused == common:
                    return _copied(place.logits)
        recalled, alike = self._recall(prompt, len(prompt) - 1, common)
        self._go_back(min(len(self.ids) if recalled else common, len(prompt) - 1))
        logits = self._go_on(prompt[self.reused :], probe, alike - self.reused)
        self.reused -= recalled
        return logits

    def keep(self) -> Notice | None:
        """Keep on the disk what is held, where there are kept prompts and that is worth it.

        What to tell where it cannot be.
        """
        if self.kept is None or not self.ids:
            return None
        if len(self.ids) > self.places.end:
            self._keep(end=True)  # where an answer ended
        self.places.forget()
        return self.kept.keep(self.state, self.ids, self.places.snapshots)

    def decode(self, token: int, *, probe: Probe | None = None) -> Array:
        """Append a token to what is held; logits of what follows, (1, vocab)."""
        logits = self.runner.decode([token], self.state, probe=probe)
        self.ids.append(token)
        if len(self.ids) - self.places.end >= self._every:
            self._keep()
        return logits

    def decode_all(self, ids: Sequence[int]) -> Array:
        """Append tokens to what is held; logits after each, (ids, vocab).

        Places are kept before them only, since some may be taken back: for steady states.
        """
        if len(self.ids) - self.places.end >= self._every:
            self._keep()
        logits = self.runner.all_logits(ids, self.state)
        self.ids += ids
        return logits

    def cut(self, length: int) -> None:
        """Hold the first `length` ids only."""
        self.go_back(self.ids[:length])

    def go_back(self, ids: Sequence[int]) -> None:
        """Hold exactly these ids, with which what is held begins."""
        reused = self.reused
        self._go_back(len(ids))
        if len(self.ids) < len(ids):
            self._go_on(ids[len(self.ids) :], None, 0)
        self.reused = reused

    def expected(self, prompt: Sequence[int]) -> Iterator[Array]:
        """Logits after every token of a prompt but the last, in parts; the state then holds those.

        Each part is (at most HEAD_ROWS, vocab). Nothing that was held before is used.
        """
        self._go_back(0)
        for start in range(0, len(prompt) - 1, CHUNK):
            piece = prompt[start : min(start + CHUNK, len(prompt) - 1)]
            yield from self.runner.logits_in_parts(piece, self.state)
            self.ids += piece
            self._keep()

    def copies(self, ids: Sequence[int], rows: int) -> ModelState:
        """A state of so many rows that all hold exactly these ids, computed where they are not."""
        common = common_length(self.ids, ids)
        recalled, alike = self._recall(ids, len(ids), common)
        if recalled:
            common = len(self.ids)
        if common < len(ids) or not self.state.can_truncate([common]):
            self._go_back(common)
            if self.reused < len(ids):
                self._go_on(ids[self.reused :], None, alike - self.reused)
        else:
            # What more is held stays.
            self.reused = common
        self.reused -= recalled
        state = self.state.picked([0] * rows)
        state.truncate([len(ids)] * rows)
        return state

    def _recall(self, prompt: Sequence[int], most: int, common: int) -> tuple[int, int]:
        """Hold what is on the disk of a prompt, at most so many tokens, where that is more than is
        here; how many tokens more. And with how many a text begins alike that is here or there.

        common: with how many the text begins alike that is here.
        """
        if self.kept is None:
            return 0, common
        here = min(common, most)
        if not self.state.can_truncate([here]):
            place = self.places.last(here)
            here = 0 if place is None else place.length
        found = self.kept.recall(prompt, most, here)
        if found.state is None:
            return 0, max(common, found.common)
        self.ids, self.state = [], found.state
        self.places = KeptPlaces(self.runner.facts.weight_bytes)
        for snapshot in found.snapshots:
            self.places.add(Place(snapshot))
        self.ids = list(prompt[: found.length])
        return found.length - here, max(common, found.common)

    def _go_back(self, length: int) -> None:
        """Hold the first `length` ids only, or as many fewer as the state can go back to."""
        # Ids before the state, each time: it may hold more than was noted, but never less.
        self.ids = self.ids[:length]
        if not self.state.truncate([length]):
            place = self.places.last(length)
            self.ids = [] if place is None else self.ids[: place.length]
            if place is None or not self.state.restore(place.snapshot):
                self.ids = []
                self.state.clear()
        self.reused = len(self.ids)
        self.places.forget()

    def _go_on(self, ids: Sequence[int], probe: Probe | None, fork: int) -> Array:
        """fork: of how many of these ids another text had the same, to which no place was near."""
        if len(self.ids) > self.places.end:
            self._keep(end=True)  # where an answer ended
        start, end, tail = 0, len(ids), len(self.ids) + len(ids) - TAIL
        borders = set(range(self._every, end, self._every)) if self._keeps else set()
        near_end = self._keeps and end >= LEAST
        if near_end and not self.state.steady:
            borders.add(end - TAIL)
        if self._keeps and LEAST <= fork < end:
            borders.add(fork)
        for border in sorted(borders):
            self.runner.prefill([ids[start:border]], self.state, probe=probe)
            self.ids += ids[start:border]
            self._keep()
            start = border
        logits = self.runner.prefill([ids[start:]], self.state, probe=probe)
        self.ids += ids[start:]
        if near_end and self.state.steady and tail > self.places.end:
            self.places.add(Place(self.state.snapshot([tail])))
        self._keep(end=True, logits=logits)
        return logits

    def _keep(self, *, end: bool = False, logits: Array | None = None) -> None:
        """Keep this place, where the state could not come back to it otherwise."""
        if self._keeps:
            kept = None if logits is None else _copied(logits)
            self.places.add(Place(self.state.snapshot(), end, kept))


def _copied(logits: Array) -> Array:
    """Logits that may be changed, as those of a forward."""
    return namespace(logits).asarray(logits, copy=True)


def begin(prefix: PrefixCache, prompts: Sequence[Sequence[int]]) -> tuple[ModelState, Array]:
    """A state with a row for each prompt, none empty, and the logits after each, (rows, vocab).

    What all prompts begin with is computed once, and not at all where `prefix` holds it. A single
    prompt stays in the state of `prefix` itself; more get copies.
    """
    first = prompts[0]
    shared = min(common_length(first, prompt) for prompt in prompts)
    if all(len(prompt) == shared for prompt in prompts):
        prefix.shared = shared
        logits = prefix.prefill(first)
        if len(prompts) == 1:
            return prefix.state, logits
        state = prefix.state.picked([0] * len(prompts))
        vocab = logits.shape[-1]
        return state, namespace(logits).broadcast_to(logits, (len(prompts), vocab))
    # Every row has to run a token of its own.
    prefix.shared = shared = min(shared, min(map(len, prompts)) - 1)
    prefix.reused = 0
    if shared:
        state = prefix.copies(first[:shared], len(prompts))
    else:
        state = prefix.runner.new_state(len(prompts))
    return state, prefix.runner.prefill([prompt[shared:] for prompt in prompts], state)
