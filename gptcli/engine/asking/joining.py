"""What a question brings into a running batch: its rows, and what becomes of their logits."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from gptcli.engine.arrays import Array
from gptcli.engine.asking.batch_row import Look, Row
from gptcli.engine.asking.continuations import logprobs
from gptcli.engine.asking.drawing import generators
from gptcli.engine.asking.draws import Draws, begun
from gptcli.engine.asking.joined import Joined
from gptcli.engine.asking.raw_logprobs import Read, read

T = TypeVar("T")

#: Something for each of some logits (places, vocab), of which the first's place is given.
Tell = Callable[[int, Array], list[T]]


def rows_of_text(
    joined: Joined[Read], prompt: Sequence[int], draws: Draws, samples: range
) -> Iterator[Row]:
    """A row for each sample, the first of which reads the prompt for all; of none, one that reads.

    How expected the prompt's own tokens were is told where `draws` asks for it.
    """
    count, look = draws.prompt_logprobs, None
    if count is not None:
        joined.give_reads([Read(prompt[0], None)])

        def tell(at: int, logits: Array) -> list[Read]:
            return read(prompt[at + 1 :][: len(logits)], logits, count, among=draws.among)

        look = _look(joined, 0, len(prompt) - 1, tell)
    leader: Row | None = None
    for sample, chance in zip(samples, generators(draws.seed, len(samples)), strict=True):
        text = begun(draws, sample, prompt, chance)
        row = Row(joined, list(prompt), text, None if leader else look, leader)
        leader = leader or row
        yield row
    if not samples and look is not None and look.end:
        # What follows the last token is not wanted.
        yield Row(joined, list(prompt[:-1]), look=look)


def row_of_look(joined: Joined[T], ids: Sequence[int], first: int, tell: Tell[T]) -> Row:
    """See RunningBatch.look."""
    return Row(joined, list(ids), look=_look(joined, first, len(ids), tell))


def rows_after(
    joined: Joined[tuple[int, float]], prompt: Sequence[int], rows: Sequence[Sequence[int]]
) -> Iterator[Row]:
    """The prompt, which tells of the first token of each row, and the rest of each at its end."""
    size = len(prompt)

    def firsts(_: int, logits: Array) -> list[tuple[int, float]]:
        return list(enumerate(logprobs(logits, [[row[0] for row in rows]])))

    leader = Row(joined, list(prompt), look=_look(joined, size - 1, size, firsts))
    yield leader
    for index, row in enumerate(rows):

        def rest(
            at: int, logits: Array, index: int = index, row: Sequence[int] = row
        ) -> list[tuple[int, float]]:
            ids = row[at - size + 1 :][: len(logits)]
            return [(index, each) for each in logprobs(logits, [[token] for token in ids])]

        if len(row) > 1:
            # The last token is not run: nothing that follows it is wanted.
            ids = [*prompt, *row[:-1]]
            look = _look(joined, size, len(ids), rest)
            yield Row(joined, ids, look=look, leader=leader)


def _look(joined: Joined[T], at: int, end: int, tell: Tell[T]) -> Look:
    return Look(at, end, lambda first, logits: joined.give_reads(tell(first, logits)))
