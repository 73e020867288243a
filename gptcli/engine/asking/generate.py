"""Generation as an iterator of steps: draw, hand out, append, run again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from gptcli.engine.arrays import Array
from gptcli.engine.asking.ahead import Ahead, Source, StateTail
from gptcli.engine.asking.drawing import generators
from gptcli.engine.asking.draws import Drawn, Draws, Text, begun, draw_rows
from gptcli.engine.asking.history import History
from gptcli.engine.asking.looked_up import LookedUp
from gptcli.engine.asking.modelled import Modelled
from gptcli.engine.asking.prefix import PrefixCache, begin
from gptcli.engine.asking.raw_logprobs import Read, read
from gptcli.engine.state.model_state import ModelState
from gptcli.types.drafts import ALONE, STATES, Drafts

# Only who draws on a GPU loads how.
if TYPE_CHECKING:
    from gptcli.engine.asking.chained import Chained


class Generation:
    """Samples of one prompt or of several, in one batch; iterating gives one step after another.

    Each prompt is a sample; the same prompt may come several times. A step is one Drawn for each
    sample that is still alive. A sample ends with an end token, at the token limit, or when `stop`
    is called for it between two steps; ended samples leave the batch. Sample i draws with a
    generator of its own, seeded with seed + i, so it does not depend on how many samples there
    are. What the prompts have in common, also with what `prefix` holds, is computed once. The last
    sample that is alive is drafted, where `Draws.drafts` says so.
    """

    def __init__(self, prefix: PrefixCache, prompts: Sequence[Sequence[int]], draws: Draws) -> None:
        self._prefix = prefix
        self._draws = draws
        self._alive = list(range(len(prompts)))
        chances = generators(draws.seed, len(prompts))
        self._texts = [
            begun(draws, sample, prompt, chance)
            for sample, (prompt, chance) in enumerate(zip(prompts, chances, strict=True))
        ]
        self._ahead: Ahead | None = None
        self._state: ModelState = prefix.state
        self._reused: int | None = None
        self._why_not = _why_not(prefix, draws)

    @property
    def reused(self) -> int:
        """How many tokens of the prompts were here already."""
        return self._reused or 0

    @property
    def drafts(self) -> Drafts | None:
        """What was drafted so far, or why nothing is; None where nothing is asked for."""
        if self._draws.drafts == 0:
            return None
        ahead = self._ahead
        if ahead is None:
            return Drafts(why_not=self._why_not)
        return Drafts(ahead.drafted, ahead.kept)

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
            yield read(prompt[at : at + len(logits)], logits, count, among=self._draws.among)
            at += len(logits)

    def __iter__(self) -> Iterator[list[Drawn]]:
        """Yields the steps. The first comes after the prefill; limit 0 gives none."""
        if self._draws.max_new_tokens <= 0 or not self._alive:
            return
        if self._draws.ban is not None and not self._prefix.state.rewinds:
            # Rows that cannot go back by themselves, which one alone does by what it kept.
            for sample in list(self._alive):
                yield from self._run([sample])
        else:
            yield from self._run(list(self._alive))

    def _run(self, samples: Sequence[int]) -> Iterator[list[Drawn]]:
        """The steps of some of the samples that are alive."""
        limit = self._draws.max_new_tokens
        texts = [self._texts[sample] for sample in samples if sample in self._alive]
        if not texts:
            return
        self._state, logits = begin(self._prefix, [text.history.prompt for text in texts])
        if self._reused is None:
            self._reused = self._prefix.reused
        chained = self._chained(texts, logits)
        while True:
            if chained is None:
                drawn = [token for some in draw_rows(texts, logits) for token in some]
            else:
                drawn = chained.draw()
            yield drawn
            over = {token.sample for token in drawn if token.ends}
            over |= {each.sample for each in texts if len(each.history.generated) >= limit}
            for sample in over:
                self.stop(sample)
            rows = [text.sample for text in texts]
            alive = [sample for sample in rows if sample in self._alive]
            if not alive:
                return
            self._cut_back(texts)
            if alive != rows:
                places = [rows.index(sample) for sample in alive]
                self._state.pick(places)
                texts = [self._texts[sample] for sample in alive]
                if chained is not None:
                    chained.pick(places)
            if chained is None:
                logits = self._next(texts, limit)

    def _chained(self, texts: Sequence[Text], logits: Array) -> Chained | None:
        """What draws where the logits are, where that can be and is won by."""
        draws, chain = self._draws, self._prefix.runner.chain(self._state)
        if chain is None or not (draws.drafts == 0 or self._why_not):
            return None
        from gptcli.engine.asking.chained import Chained
        from gptcli.engine.asking.on_device import can_be_drawn

        if not can_be_drawn(draws):
            return None
        own = self._state is self._prefix.state
        ran = self._prefix.ids.extend if own else lambda _: None
        return Chained(chain, texts, logits, draws.max_new_tokens, ran)

    def _cut_back(self, texts: Sequence[Text]) -> None:
        """Take out of the state what was taken back of the texts."""
        if not any(text.pending.went_back for text in texts):
            return
        if self._ahead is not None:
            self._ahead.go_back(texts[0].history)
        elif self._state is self._prefix.state:
            history = texts[0].history
            self._prefix.go_back([*history.prompt, *history.generated[:-1]])
        else:
            histories = [text.history for text in texts]
            self._state.truncate([len(h.prompt) + len(h.generated) - 1 for h in histories])

    def _next(self, texts: Sequence[Text], limit: int) -> Array:
        """Logits of what follows each text, (texts, vocab)."""
        if len(texts) == 1 and self._draws.drafts != 0 and not self._why_not:
            text = texts[0]
            if self._ahead is None:
                self._ahead = self._begin_ahead(text.history)
            return self._ahead.next(text.history, limit - len(text.history.generated))
        last = [text.history.generated[-1] for text in texts]
        if self._state is self._prefix.state:
            return self._prefix.decode(last[0])
        return self._prefix.runner.decode(last, self._state)

    def _begin_ahead(self, history: History) -> Ahead:
        prefix, draws = self._prefix, self._draws
        own = self._state is prefix.state
        tail = prefix if own else StateTail(prefix.runner, self._state)
        pace = prefix.pace if draws.drafts is None else None
        return Ahead(prefix.runner, tail, history, self._sources, pace=pace)

    def _sources(self, ids: Sequence[int]) -> list[Source]:
        """What drafts of a text of these ids come from: what costs nothing first."""
        prefix, most, ends = self._prefix, self._draws.drafts or 0, self._draws.end_ids
        measured = self._draws.drafts is None
        found: list[Source] = [LookedUp(ids, prefix.pace if measured else None, most, ends)]
        if prefix.drafter is not None:
            pace = prefix.drafter_pace if measured else None
            found.append(Modelled(ids, prefix.drafter, pace, most, ends))
        return found


def _why_not(prefix: PrefixCache, draws: Draws) -> str:
    """Why nothing is drafted, in words; empty where that may be."""
    if not prefix.state.steady:
        return STATES
    return ALONE if draws.drafts is None and not prefix.runner.facts.alike else ""
