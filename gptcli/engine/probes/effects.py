"""Log-probabilities after a prompt while something inside the model is changed, many at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from gptcli.engine.asking.prefix import PrefixCache
from gptcli.engine.asking.variants import batches, logprobs_of_branches
from gptcli.engine.edits import Edit, in_rows
from gptcli.engine.runner import Runner
from gptcli.plain import dataclass


@dataclass(frozen=True, eq=False)
class Variant:
    """What one run changes beside what all do; rows of its edits say nothing.

    after: what more it changes behind the prompt while each of the rows follows; empty for nothing.
    """

    edits: tuple[Edit, ...]
    after: tuple[tuple[Edit, ...], ...] = ()

    @property
    def start(self) -> int:
        """The first position that differs from a run without it."""
        return min((e.positions.start if e.positions else 0 for e in self.edits), default=0)


def effects(
    prefix: PrefixCache,
    prompt: Sequence[int],
    rows: Sequence[Sequence[int]],
    variants: Iterable[Variant],
) -> Iterator[list[list[list[float]]]]:
    """Of every token of each row after the prompt in each variant: [variant][row][token].

    They come in batches, each as soon as it is known. What stands before a variant's first change
    is computed once, by `prefix`, whose runner's own edits are those of all; where states cannot go
    back, variants should begin later and later. No row may be empty. Raises NonFiniteError, and
    ValueError for an edit of what the model does not have.
    """
    longest = len(prompt) + max(map(len, rows))
    for batch in batches(prefix, prompt, variants, longest):
        starts = [each.start for each in batch]
        through = _Through(prefix.runner, batch)
        yield logprobs_of_branches(prefix, prompt, starts, [prompt] * len(batch), rows, through)


class _Through:
    """See continuations: prompts are variants, by their places in a batch."""

    def __init__(self, runner: Runner, batch: Sequence[Variant]) -> None:
        self._runner, self._batch = runner, batch

    def __call__(self, prompts: Sequence[int], rows: Sequence[int] | None = None) -> Runner:
        """A runner with the edits of each in a row of its own."""
        numbers = rows if rows is not None else [None] * len(prompts)
        own = (self._edits(self._batch[at], row) for at, row in zip(prompts, numbers, strict=True))
        return self._runner.edited(in_rows(own))

    def _edits(self, variant: Variant, row: int | None) -> tuple[Edit, ...]:
        more = () if row is None or not variant.after else variant.after[row]
        return (*variant.edits, *more)
