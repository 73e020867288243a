"""What follows a text while something inside the model is changed: many changes, each by itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gptcli.engine.arrays import Array
from gptcli.engine.asking.variants import largest_batch
from gptcli.engine.edits import Edit, in_rows
from gptcli.engine.runner import CHUNK, Runner


def logits_with(runner: Runner, ids: Sequence[int], edits: Sequence[Edit]) -> Iterator[Array]:
    """The logits after ids with each edit alone, (edits, vocab), in batches of what fills a pass.

    Rows of edits say nothing. Raises ValueError for an edit of what the model does not have.
    """
    most = largest_batch(runner, len(ids), rewinds=True)
    most = max(min(most, CHUNK // len(ids)), 1)
    for start in range(0, len(edits), most):
        batch = edits[start : start + most]
        edited = runner.edited(in_rows([edit] for edit in batch))
        yield edited.prefill([ids] * len(batch), edited.new_state(len(batch)))
