"""Generation as an iterator of steps: draw, hand out, append, run again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gptcli.engine.asking.drawing import generators
from gptcli.engine.asking.draws import Drawn, Draws, Read, Text, draw_rows, read
from gptcli.engine.asking.history import History
from gptcli.engine.asking.prefix import PrefixCache, begin


class Generation:
    """Samples of one prompt or of several, in one batch; iterating gives one step after another.

    Each prompt is a sample; the same prompt may come several times. A step is one Drawn for each
    sample that is still alive. A sample ends with an end token, at the token limit, or when `stop`
    is called for it between two steps; ended samples leave the batch. Sample i draws with a
    generator of its own, seeded with seed + i, so it does not depend on how many samples there
    are. What the prompts have in common, also with what `prefix` holds, is computed once.
    """

    def __init__(self, prefix: PrefixCache, prompts: Sequence[Sequence[int]], draws: Draws) -> None:
        self._prefix = prefix
        self._draws = draws
        self._alive = list(range(len(prompts)))
        chances = generators(draws.seed, len(prompts))
        self._texts = [
            Text(draws, sample, History(list(prompt)), chance)
            for sample, (prompt, chance) in enumerate(zip(prompts, chances, strict=True))
        ]

    @property
    def reused(self) -> int:
        """How many tokens of the prompts were here already."""
        return self._prefix.reused if self._draws.max_new_tokens > 0 else 0

    def stop(self, sample: int) -> None:
        """End a sample: it takes no part in the next step."""
        if sample in self._alive:
            self._alive.remove(sample)

    def reads(self) -> Iterator[list[Read]]:
        """What the model had expected of the first prompt, in parts; before the steps, if at all.

        None where `Draws.prompt_logprobs` does not ask for it.
        """
        count, prompt = self._draws.prompt_logprobs, self._texts[0].history.prompt
        if count is None:
            return
        yield [Read(prompt[0], None)]
        at = 1
        for logits in self._prefix.expected(prompt):
            yield read(prompt[at : at + len(logits)], logits, count)
            at += len(logits)

    def __iter__(self) -> Iterator[list[Drawn]]:
        """Yields the steps. The first comes after the prefill; limit 0 gives none."""
        limit = self._draws.max_new_tokens
        if limit <= 0 or not self._alive:
            return
        texts = [self._texts[sample] for sample in self._alive]
        state, logits = begin(self._prefix, [text.history.prompt for text in texts])
        for step in range(limit):
            drawn = draw_rows(texts, logits)
            for token in drawn:
                if token.ends:
                    self.stop(token.sample)
            yield drawn
            if not self._alive or step + 1 == limit:
                return
            rows = [text.sample for text in texts]
            if self._alive != rows:
                state.pick([rows.index(sample) for sample in self._alive])
                texts = [self._texts[sample] for sample in self._alive]
            last = [text.history.generated[-1] for text in texts]
            if state is self._prefix.state:
                logits = self._prefix.decode(last[0])
            else:
                logits = self._prefix.runner.decode(last, state)
