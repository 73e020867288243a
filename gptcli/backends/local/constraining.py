"""Texts that have to be of a form: what guides them, and what is told of those that are not."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from gptcli.backends.local.open_model import OpenModel
from gptcli.errors import UsageError
from gptcli.types.constraints import Constraint, ConstraintUse, Repaired, Unfinished

if TYPE_CHECKING:
    from gptcli.engine.asking.constraining.guard import Guard
    from gptcli.engine.asking.constraining.words import Words
    from gptcli.engine.asking.draws import Drawn


class Constrained:
    """The texts of one question, all under one constraint.

    ends: tokens that end a text. before: what each begins with that is not its own, drawn anew as
    the end of a prompt that is healed; white: whether white space may stand before. Raises
    UsageError for what cannot be.
    """

    def __init__(
        self,
        model: OpenModel,
        constraint: Constraint,
        ends: Collection[int],
        *,
        before: bytes = b"",
        white: bool = False,
    ) -> None:
        from gptcli.engine.asking.constraining.grammar import Grammar

        self._words = model.kept(_Vocabularies).of(ends)
        self._constraint = constraint
        try:
            written = before.decode()
        except UnicodeDecodeError:
            reason = "cannot be combined with a constraint: the prompt ends within a character"
            raise UsageError("--heal", reason) from None
        self._before = written
        self.grammar = Grammar(constraint, self._words, before=written, white=white)
        self._ids: dict[int, list[int]] = {}
        self._steps = self._decided = 0
        self._unfinished: list[Unfinished] = []
        self._repaired: list[Repaired] = []

    @property
    def use(self) -> ConstraintUse:
        """What has become of it so far."""
        told = tuple(self._unfinished), tuple(self._repaired)
        return ConstraintUse(self._steps, self._decided, *told)

    def drew(self, drawn: Drawn) -> None:
        """Count a token."""
        if drawn.decided is not None:
            self._steps += 1
            self._decided += drawn.decided
        if not drawn.ends:
            self._ids.setdefault(drawn.sample, []).append(drawn.id)

    def end(self, sample: int, text: str | None = None) -> bytes:
        """A sample is over by something other than an end token: the bytes that make it whole.

        They are none where it is whole, or is not to be repaired; then it is noted. text: what is
        left of it where a stop string has cut it.
        """
        from gptcli.engine.asking.constraining.closing import closing

        stopped = text is not None
        guard = self._replayed(sample) if text is None else self._spelled(text)
        if guard is not None and guard.whole:
            return b""
        missing = closing(guard, self._words) if guard is not None and guard.begun else None
        if self._constraint.repair and missing is not None:
            self._repaired.append(Repaired(sample, missing.decode(errors="replace")))
            return missing
        shown = None if missing is None else missing.decode(errors="replace")
        begun = guard is None or guard.begun
        self._unfinished.append(Unfinished(sample, shown, stopped, begun))
        return b""

    def _replayed(self, sample: int) -> Guard:
        """What guides a sample, after the tokens that it has drawn."""
        guard = self.grammar.begin()
        for token in self._ids.get(sample, ()):
            guard.take(token)
        return guard

    def _spelled(self, text: str) -> Guard | None:
        """What guides a text, after all of it; None where that is no beginning of a whole one."""
        guard = self.grammar.begin(at_once=True)
        ids = self._words.tokenizer.greedy_tokenize(self._before + text)
        return guard if guard.follows(ids) else None


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
