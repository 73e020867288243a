"""Log-probabilities after prompts that differ from one in a few tokens: left out, or replaced."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol, TypeVar

from gptcli.engine.asking.continuations import CACHE_BYTES, ROWS, Through, logprobs_from
from gptcli.engine.asking.prefix import PrefixCache
from gptcli.engine.runner import CHUNK, Runner
from gptcli.plain import dataclass

#: Rows of a batch where a state cannot go back: all begin where the first differs, so that each
#: computes again what is between there and its own place.
_ABREAST = 8


@dataclass(frozen=True)
class Variant:
    """A prompt without its tokens from `start` to `stop`, or with `put` in the place of each."""

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


def logprobs_of_variants(
    prefix: PrefixCache,
    prompt: Sequence[int],
    variants: Iterable[Variant],
    rows: Sequence[Sequence[int]],
) -> Iterator[list[list[list[float]]]]:
    """Of every token of each row after each variant of a prompt: [variant][row][token], in batches.

    Their places must rise, none may be empty, and no row may be. What a variant has of the
    prompt's beginning is not computed again: it is that of `prefix`. Raises NonFiniteError.
    """
    longest = len(prompt) + max(map(len, rows))
    for batch in batches(prefix, prompt, variants, longest):
        left = [each.of(prompt) for each in batch]
        yield logprobs_of_branches(prefix, prompt, [each.start for each in batch], left, rows)


def logprobs_of_branches(
    prefix: PrefixCache,
    prompt: Sequence[int],
    starts: Sequence[int],
    branches: Sequence[Sequence[int]],
    rows: Sequence[Sequence[int]],
    through: Through | None = None,
) -> list[list[list[float]]]:
    """Of every token of each row after each branch of a prompt, run together.

    A branch is as the prompt, which `prefix` computes, up to its start. through: see
    `logprobs_from`; those of branches are their places. Raises NonFiniteError.
    """
    # Every row has to run a token of its own.
    first = [min(start, len(ids) - 1) for start, ids in zip(starts, branches, strict=True)]
    if not prefix.state.steady:
        first = [min(first)] * len(first)
    state = prefix.copies(prompt[: max(first)], len(first))
    if not state.truncate(first):
        first = [min(first)] * len(first)
        state = prefix.copies(prompt[: first[0]], len(first))
    rest = [ids[start:] for start, ids in zip(first, branches, strict=True)]
    runner = prefix.runner if through is None else through(range(len(rest)))
    logits = runner.prefill(rest, state)
    return logprobs_from(prefix.runner, state, logits, [rows] * len(rest), through)


def largest_batch(runner: Runner, tokens: int, *, rewinds: bool) -> int:
    """How many rows of so many tokens run together at most: what their states and passes take."""
    row = max(runner.spec.cache_bytes(tokens, runner.facts.itemsize), 1)
    return max(min(ROWS if rewinds else _ABREAST, CACHE_BYTES // row), 1)


class _Begins(Protocol):
    @property
    def start(self) -> int: ...


_Begun = TypeVar("_Begun", bound=_Begins)


def batches(
    prefix: PrefixCache, prompt: Sequence[int], items: Iterable[_Begun], longest: int
) -> Iterator[list[_Begun]]:
    """What begins at places of a prompt and runs together: as few as fill a pass, so that what is
    done is soon told.

    longest: tokens of the longest row.
    """
    most = largest_batch(prefix.runner, longest, rewinds=prefix.state.steady)
    batch: list[_Begun] = []
    for each in items:
        first = batch[0] if batch else each
        tokens = min(len(prompt) - first.start, CHUNK)
        if batch and (len(batch) == most or (len(batch) + 1) * tokens > CHUNK):
            yield batch
            batch = []
        batch.append(each)
    if batch:
        yield batch
