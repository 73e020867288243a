"""Log-probabilities after prompts that differ from one in a few tokens: left out, or replaced."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from gptcli.engine.asking.continuations import CACHE_BYTES, ROWS, logprobs_from
from gptcli.engine.asking.prefix import PrefixCache
from gptcli.engine.runner import CHUNK, Runner
from gptcli.plain import dataclass

#: Rows of a batch where a state cannot go back: all begin where the first differs, so that each
#: computes again what is between there and its own place.
_ABREAST = 8


@dataclass(frozen=True)
class Edit:
    """The tokens from `start` to `stop` of a prompt left out, or `put` in the place of each."""

    start: int
    stop: int
    put: int | None = None

    def of(self, prompt: Sequence[int]) -> list[int]:
        """The prompt that is left."""
        there = [] if self.put is None else [self.put] * (self.stop - self.start)
        return [*prompt[: self.start], *there, *prompt[self.stop :]]

    @property
    def shift(self) -> int:
        """By how many places what stands behind it moves to the front."""
        return self.stop - self.start if self.put is None else 0


def logprobs_of_edits(
    prefix: PrefixCache,
    prompt: Sequence[int],
    edits: Iterable[Edit],
    rows: Sequence[Sequence[int]],
) -> Iterator[list[list[list[float]]]]:
    """Of every token of each row after each edit of a prompt: [edit][row][token], in batches.

    The edits' places must rise, none may leave nothing, and no row may be empty. What an edit
    leaves of the prompt's beginning is not computed again: it is that of `prefix`. Raises
    NonFiniteError.
    """
    runner = prefix.runner
    longest = len(prompt) + max(map(len, rows))
    for batch in _batches(runner, prompt, edits, longest, rewinds=prefix.state.rewinds):
        left = [edit.of(prompt) for edit in batch]
        # Every row has to run a token of its own.
        starts = [min(e.start, len(ids) - 1) for e, ids in zip(batch, left, strict=True)]
        if not prefix.state.rewinds:
            starts = [min(starts)] * len(starts)
        state = prefix.copies(prompt[: max(starts)], len(batch))
        state.truncate(starts)
        rest = [ids[start:] for start, ids in zip(starts, left, strict=True)]
        logits = runner.prefill(rest, state)
        yield logprobs_from(runner, state, logits, [rows] * len(batch))


def largest_batch(runner: Runner, tokens: int, *, rewinds: bool) -> int:
    """How many rows of so many tokens run together at most: what their states and passes take."""
    row = max(runner.spec.cache_bytes(tokens, runner.facts.itemsize), 1)
    return max(min(ROWS if rewinds else _ABREAST, CACHE_BYTES // row), 1)


def _batches(
    runner: Runner, prompt: Sequence[int], edits: Iterable[Edit], longest: int, *, rewinds: bool
) -> Iterator[list[Edit]]:
    """Edits that run together: as few as fill a pass, so that what is done is soon told."""
    most = largest_batch(runner, longest, rewinds=rewinds)
    batch: list[Edit] = []
    for edit in edits:
        first = batch[0] if batch else edit
        tokens = min(len(prompt) - first.start, CHUNK)
        if batch and (len(batch) == most or (len(batch) + 1) * tokens > CHUNK):
            yield batch
            batch = []
        batch.append(edit)
    if batch:
        yield batch
