"""The most probable continuations of a prompt as a tree, with their joint probabilities."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import field

from gptcli.engine import arrays
from gptcli.engine.arrays import Array
from gptcli.engine.asking.sampling import check_finite, likeliest
from gptcli.engine.runner import Runner
from gptcli.engine.state.model_state import ModelState
from gptcli.plain import dataclass

#: What bounds a batch: rows, and bytes of the states of all levels together.
ROWS = 64
CACHE_BYTES = 512 << 20


class TooManyNodesError(Exception):
    """The tree would have more nodes than were allowed."""


@dataclass
class Branch:
    """A token, its log-probability where it stands, and that of the path from the prompt to it.

    ends: it is an end token, so nothing follows.
    """

    id: int
    logprob: float
    joint: float
    ends: bool
    children: list[Branch] = field(default_factory=list)


class TreeGrower:
    """Grows trees of at most `most` nodes: the `width` likeliest tokens after each node.

    least: the log-probability that a path needs, all of it together. The prompt runs once and each
    branch once; branches of one parent level run in batches, and go down a level before the next
    batch does, so that memory grows with the depth and not with the tree.
    """

    def __init__(
        self,
        runner: Runner,
        *,
        depth: int,
        width: int,
        least: float,
        end_ids: Collection[int],
        most: int,
    ) -> None:
        self._runner = runner
        self._depth = depth
        self._width = min(width, runner.spec.vocab)
        self._least = least
        self._end_ids = frozenset(end_ids)
        self._most = most
        self._count = 0

    def grow(self, prompt: Sequence[int]) -> list[Branch]:
        """The branches after the prompt, likeliest first; prompt + depth - 1 must fit the context.

        Raises TooManyNodesError, and NonFiniteError where the model gives no distribution.
        """
        self._count = 0
        state = self._runner.new_state()
        (first,) = self._likeliest(self._runner.prefill([prompt], state), [0.0])
        row = self._runner.spec.cache_bytes(
            len(prompt) + self._depth, self._runner.facts.itemsize, batch=max(self._depth - 1, 1)
        )
        rows = min(max(CACHE_BYTES // row, 1), ROWS)
        self._deepen([(branch, 0) for branch in first], state, self._depth - 1, rows)
        return first

    def _deepen(
        self, branches: list[tuple[Branch, int]], state: ModelState, levels: int, rows: int
    ) -> None:
        """Add what follows each branch, which follows a row of the state."""
        if levels == 0:
            return
        open_ = [(branch, row) for branch, row in branches if not branch.ends]
        for start in range(0, len(open_), rows):
            batch = open_[start : start + rows]
            deeper = state.picked([row for _, row in batch])
            logits = self._runner.decode([branch.id for branch, _ in batch], deeper)
            children = self._likeliest(logits, [branch.joint for branch, _ in batch])
            for (branch, _), found in zip(batch, children, strict=True):
                branch.children = found
            below = [(child, row) for row, found in enumerate(children) for child in found]
            self._deepen(below, deeper, levels - 1, rows)

    def _likeliest(self, logits: Array, joints: Sequence[float]) -> list[list[Branch]]:
        """For each row of the logits (rows, vocab), the branches that follow it."""
        check_finite(logits)
        values, ids = likeliest(arrays.log_softmax(logits), self._width)
        pairs = zip(ids.tolist(), values.tolist(), joints, strict=True)
        found = [list(self._kept(*each)) for each in pairs]
        self._count += sum(map(len, found))
        if self._count > self._most:
            raise TooManyNodesError
        return found

    def _kept(self, ids: list[int], logprobs: list[float], joint: float) -> Iterator[Branch]:
        for token, logprob in zip(ids, logprobs, strict=True):
            # Never a token that cannot be: its own log-probability is -inf.
            if joint + logprob >= self._least and logprob > float("-inf"):
                yield Branch(token, logprob, joint + logprob, token in self._end_ids)
