"""A value drawn token by token, always the most probable one, and how probable it is."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from gptcli.engine import arrays
from gptcli.engine.asking.constraining.guard import Guard
from gptcli.engine.asking.constraining.words import Words
from gptcli.engine.asking.prefix import PrefixCache
from gptcli.engine.asking.sampling import check_finite


def likeliest_value(
    prefix: PrefixCache, prompt: Sequence[int], guard: Guard, words: Words
) -> tuple[bytes, float]:
    """The value after a prompt, and its natural log-probability.

    Where it may end, all tokens end it together that cannot go on with it: an end token, a full
    stop, a word. A step's probability is that among those and the tokens that go on. What the
    guard allows must be bounded. Raises NonFiniteError, and InputError as Guard does.
    """
    firsts = np.frombuffer(b"".join(each[:1] or b"\0" for each in words.pieces), dtype=np.uint8)
    text, logprob = b"", 0.0
    logits = prefix.prefill(prompt)
    while True:
        check_finite(logits)
        chances = arrays.softmax(arrays.host(logits)[0].astype(np.float64))
        goes_on = np.zeros(words.size, dtype=np.bool_) if guard.mask is None else guard.mask.copy()
        goes_on[words.ends] = False
        going, ending = np.where(goes_on, chances, 0.0), 0.0
        if guard.whole:
            others = ~np.isin(firsts, np.unique(firsts[goes_on]))
            others[words.ends] = True
            ending = float(chances[others].sum())
        best, total = int(going.argmax()), float(going.sum()) + ending
        if guard.whole and ending >= going[best]:
            return text, logprob + (math.log(ending / total) if ending else 0.0)
        logprob += math.log(going[best] / total) if going[best] else -math.inf
        text += words.pieces[best]
        guard.take(best)
        if guard.over or prefix.length >= prefix.runner.limit:
            return text, logprob
        logits = prefix.decode(best)
