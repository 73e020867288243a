"""Rules of a model's own files, applied to logits as transformers' generation does.

https://huggingface.co/docs/transformers/main_classes/text_generation: the fields of
GenerationConfig, by whose names they are told. All give new logits (rows, vocab).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from gptcli.engine import arrays
from gptcli.engine.arrays import Array, namespace
from gptcli.engine.asking.history import History
from gptcli.types.rules import Rules, Sequences

#: Beyond this a growing bonus changes nothing any more, and float32 holds it.
_MOST = 1e30


def favour(logits: Array, rules: Rules, histories: Sequence[History]) -> Array:
    """sequence_bias, then encoder_repetition_penalty, which favours what stands in the prompt."""
    xp = namespace(logits)
    logits = xp.asarray(logits, copy=True)
    for row, history in enumerate(histories):
        for token, amount in _biases(rules.biases_after, history):
            logits[row, token] += amount
        if rules.prompt_penalty != 1:
            seen = arrays.indices(sorted(set(history.prompt)), logits)
            old, by = logits[row, seen], rules.prompt_penalty
            logits[row, seen] = xp.where(old > 0, old * by, old / by)
    return logits


def restrict(logits: Array, rules: Rules, histories: Sequence[History]) -> Array:
    """What must not come here becomes -inf; ends grow likelier where they are to."""
    logits = namespace(logits).asarray(logits, copy=True)
    for row, history in enumerate(histories):
        forbidden = {*rules.forbidden, *_repeating(rules.no_repeat, history)}
        forbidden.update(token for token, _ in _biases(rules.forbidden_after, history))
        new, length = len(history.generated), len(history.prompt) + len(history.generated)
        if not new:
            forbidden.update(rules.forbidden_first)
        if length < rules.least or new < rules.least_new:
            forbidden.update(rules.ends)
        logits[row, arrays.indices(sorted(forbidden), logits)] = -math.inf
        if rules.ending and new > rules.ending[0]:
            start, factor = rules.ending
            for token in rules.ends:
                logit = float(logits[row, token])
                if math.isfinite(logit):
                    logits[row, token] = logit + abs(logit) * _grown(factor, new - start)
    return logits


def _biases(sequences: Sequences, history: History) -> Iterable[tuple[int, float]]:
    """(token, bias) of the sequences whose ids but the last one end the text."""
    for _, token, amount in sequences.get(None, ()):
        yield token, amount
    last = history.tail(1)
    for before, token, amount in sequences.get(last[0], ()) if last else ():
        if history.tail(len(before)) == list(before):
            yield token, amount


def _repeating(size: int, history: History) -> set[int]:
    """The tokens that would make a sequence of `size` ids that came before."""
    text = [*history.prompt, *history.generated]
    if not size or len(text) + 1 < size:
        return set()
    last = text[len(text) - size + 1 :]
    places = range(len(text) - size + 1)
    return {text[at + size - 1] for at in places if text[at : at + size - 1] == last}


def _grown(factor: float, steps: int) -> float:
    """Factor ** steps - 1, bounded."""
    try:
        return min(factor**steps - 1, _MOST)
    except OverflowError:
        return _MOST
