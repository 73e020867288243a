"""What is added to, or taken from, the logits of some tokens. All give new logits (rows, vocab)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from gptcli.engine import arrays
from gptcli.engine.arrays import Array, namespace
from gptcli.engine.asking.history import History


@arrays.quiet
def repeat_penalty(
    logits: Array, penalty: float, histories: Sequence[History], *, last: int = 0
) -> Array:
    """Divide positive and multiply negative logits of tokens in the prompt or generated so far.

    The form of CTRL (arXiv:1909.05858), as transformers and llama.cpp have it. last: of so many
    tokens that were generated last, not of the prompt; 0 is all.
    """
    xp = namespace(logits)
    logits = xp.asarray(logits, copy=True)
    for row, history in enumerate(histories):
        before = history.generated[-last:] if last else (*history.prompt, *history.generated)
        seen = arrays.indices(sorted(set(before)), logits)
        old = logits[row, seen]
        logits[row, seen] = xp.where(old > 0, old / penalty, old * penalty)
    return logits


def count_penalties(
    logits: Array, presence: float, frequency: float, histories: Sequence[History]
) -> Array:
    """Subtract presence + frequency × count for every token generated so far, as OpenAI does."""
    xp = namespace(logits)
    logits = xp.asarray(logits, copy=True)
    for row, history in enumerate(histories):
        counts = Counter(history.generated)
        times = xp.asarray(list(counts.values()), dtype=logits.dtype, device=logits.device)
        logits[row, arrays.indices(list(counts), logits)] -= presence + frequency * times
    return logits


def bias(logits: Array, biases: Sequence[tuple[int, float]]) -> Array:
    """Add a number to the logits of some tokens; -inf forbids one."""
    logits = namespace(logits).asarray(logits, copy=True)
    for token, amount in biases:
        logits[:, token] += amount
    return logits
