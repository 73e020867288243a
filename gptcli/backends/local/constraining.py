"""Texts that have to be of a form: what guides them, and what is told of those that are not."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import TYPE_CHECKING

from gptcli.backends.local.open_model import OpenModel
from gptcli.backends.local.sample import Sample
from gptcli.backends.local.thoughts import Thinking
from gptcli.errors import UsageError
from gptcli.types.constraints import Constraint, ConstraintUse, Repaired, Unfinished
from gptcli.types.events import Notice

if TYPE_CHECKING:
    from gptcli.engine.asking.constraining.grammar import Grammar
    from gptcli.engine.asking.constraining.guard import Guard, Later
    from gptcli.engine.asking.constraining.words import Words
    from gptcli.engine.asking.draws import Drawn


class Constrained:
    """The texts of one question, all under one constraint, or under none.

    ends: tokens that end a text. before: what each begins with that is not its own, drawn anew as
    the end of a prompt that is healed; white: whether white space may stand before, as it
    may behind thoughts. thinking: what a model may think before. Raises UsageError for what cannot
    be.
    """

    #: What guides the texts.
    grammar: Grammar | None = None

    def __init__(
        self,
        model: OpenModel,
        constraint: Constraint | None,
        ends: Collection[int],
        *,
        before: bytes = b"",
        white: bool = False,
        thinking: Thinking | None = None,
    ) -> None:
        self._ids: dict[int, list[int]] = {}
        self._steps = self._decided = 0
        self._unfinished: list[Unfinished] = []
        self._repaired: list[Repaired] = []
        if constraint is None:
            return
        from gptcli.engine.asking.constraining.grammar import Grammar

        words = model.kept(_Vocabularies).of(ends)
        try:
            written = before.decode()
        except UnicodeDecodeError:
            reason = "cannot be combined with a constraint: the prompt ends within a character"
            raise UsageError("--heal", reason) from None
        self._before = written
        later = None if thinking is None else _later(model, thinking)
        white = white or later is not None
        self.grammar = Grammar(constraint, words, before=written, white=white, later=later)

    @property
    def use(self) -> ConstraintUse | None:
        """What has become of it so far."""
        if self.grammar is None:
            return None
        told = tuple(self._unfinished), tuple(self._repaired)
        return ConstraintUse(self._steps, self._decided, *told)

    def notices(self) -> Iterator[Notice]:
        """What was added."""
        for each in self._repaired:
            yield Notice("--repair", f"added {each.text!r:.80}, which the model did not write")

    def drew(self, drawn: Drawn) -> None:
        """Count a token."""
        if drawn.decided is not None:
            self._steps += 1
            self._decided += drawn.decided
        if self.grammar is None:
            return
        if not drawn.ends:
            self._ids.setdefault(drawn.sample, []).append(drawn.id)
        elif drawn.decided is None:
            self._unfinished.append(Unfinished(drawn.sample, None, begun=False))

    def settle(self, sample: Sample, drawn: Drawn, *, full: bool) -> None:
        """End a sample that took a token where the form or a limit ends it, and make it whole."""
        if sample.finish_reason is not None:
            if not drawn.ends:
                self.close(sample, drawn.sample)
        elif drawn.whole:
            sample.finish("stop")
        elif full:
            self.close(sample, drawn.sample)
            sample.finish("length")

    def close(self, sample: Sample, index: int) -> str:
        """Make a text whole that ends here by a limit, or has just ended by a stop string; what
        that adds to it. Where it is not whole and is not to be repaired, that is noted.
        """
        if self.grammar is None:
            return ""
        from gptcli.engine.asking.constraining.closing import closing

        stopped = sample.finish_reason is not None
        grammar = self.grammar
        guard = self._spelled(grammar, sample) if stopped else self._replayed(grammar, index)
        if guard is not None and guard.whole:
            return ""
        begun = guard is None or guard.begun
        missing = closing(guard, grammar.words) if guard is not None and begun else None
        shown = None if missing is None else missing.decode(errors="replace")
        if missing is not None and shown is not None and grammar.constraint.repair:
            self._repaired.append(Repaired(index, shown))
            return sample.close(missing)
        self._unfinished.append(Unfinished(index, shown, stopped, begun))
        return ""

    def _replayed(self, grammar: Grammar, index: int) -> Guard:
        """What guides a text, after the tokens that it has drawn."""
        guard = grammar.begin()
        for token in self._ids.get(index, ()):
            guard.take(token)
        return guard

    def _spelled(self, grammar: Grammar, sample: Sample) -> Guard | None:
        """The same after what a stop string has left; None where that begins no whole text."""
        guard = grammar.begin(at_once=True)
        ids = grammar.words.tokenizer.greedy_tokenize(self._before + sample.text)
        return guard if guard.follows(ids) else None


def _later(model: OpenModel, thinking: Thinking) -> Later | None:
    """Thoughts, which no constraint is about; None where they are over."""
    from gptcli.engine.asking.constraining.guard import Later

    if thinking.stage in ("after", "saying"):
        return None
    tokenizer = model.tokenizer

    def ends() -> Callable[[Sequence[int]], bool]:
        follower = thinking.follower(tokenizer)
        return lambda drawn: follower.stage(drawn) in ("after", "saying")

    return Later(thinking.form.openings, thinking.stage == "thinking", ends)


class _Vocabularies:
    """A model's tokens as the library wants them, by those that end a text."""

    def __init__(self, model: OpenModel) -> None:
        self._model = model
        self._found: dict[frozenset[int], Words] = {}

    def of(self, ends: Collection[int]) -> Words:
        """Made once for the same ends."""
        from gptcli.engine.asking.constraining.words import Words

        key = frozenset(ends)
        if key not in self._found:
            pieces: Sequence[bytes] = self._model.vocabulary
            special = self._model.tokenizer.is_special
            self._found[key] = Words(pieces, set(filter(special, range(len(pieces)))), key)
        return self._found[key]
