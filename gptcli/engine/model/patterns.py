"""Regular expressions over module names, from configs that nobody vouches for.

Python's own matcher goes back over what it tried: twenty-four wildcards take it longer than anyone
waits. So only its reader is used here. What is read is matched by sets of places: those where a
part may end, of those where it may begin, each part once for all of them. The time is that of the
pattern's length by the name's by how often parts repeat, and it is bounded for all patterns of a
config together. References back to a group cannot be matched so, and are refused. A pattern with
one repeat has nothing to go back over, and is Python's: adapters may have a thousand of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from re import _constants as op  # type: ignore[attr-defined]
from re import _parser as reader  # type: ignore[attr-defined]
from typing import Any

from gptcli.engine.model.config_fields import ConfigFields
from gptcli.errors import ModelError

_LONGEST = 2000
#: Of a name; those of modules have a tenth.
_LONGEST_NAME = 1000
#: Steps for all patterns of a config and all names: a second or two.
_STEPS = 2_000_000
_FLAGS = re.UNICODE | re.IGNORECASE
_DIGIT = re.compile(r"\d")
_WORD = re.compile(r"\w")
_CATEGORIES: dict[Any, Callable[[str], bool]] = {
    op.CATEGORY_DIGIT: lambda c: bool(_DIGIT.match(c)),
    op.CATEGORY_NOT_DIGIT: lambda c: not _DIGIT.match(c),
    op.CATEGORY_SPACE: str.isspace,
    op.CATEGORY_NOT_SPACE: lambda c: not c.isspace(),
    op.CATEGORY_WORD: lambda c: bool(_WORD.match(c)),
    op.CATEGORY_NOT_WORD: lambda c: not _WORD.match(c),
}
_LETTERS = (op.LITERAL, op.NOT_LITERAL, op.ANY, op.IN)
_REPEATS = (op.MAX_REPEAT, op.MIN_REPEAT)
_LOOKS = (op.ASSERT, op.ASSERT_NOT)
_PLACES: tuple[Any, ...] = (op.AT_BEGINNING, op.AT_BEGINNING_STRING, op.AT_END, op.AT_END_STRING)
_PLACES += (op.AT_BOUNDARY, op.AT_NON_BOUNDARY)
Places = frozenset[int]


class Budget:
    """What the patterns of one config may take together."""

    def __init__(self) -> None:
        self.left = _STEPS


class Pattern:
    """A regular expression. Raises ModelError for one that is none, or is not supported."""

    def __init__(self, fields: ConfigFields, name: str, text: str, budget: Budget) -> None:
        """`fields` and `name` say where it stands, for errors."""
        self._fields, self._name, self._text = fields, name, text
        self._budget = budget
        if len(text) > _LONGEST:
            raise self._bad("that is too long")
        try:
            self._parts = reader.parse(text)
            self._check(self._parts)
        except (re.error, RecursionError, OverflowError) as error:
            raise self._bad(f"that is broken ({error})") from None
        # Reading it takes far longer than a step.
        self._spend(100 + len(text))
        plain = text.replace("(?:", "")
        repeats, others = len(re.findall(r"[*+{]", plain)), len(re.findall(r"[|?]", plain))
        self._plain = re.compile(text) if repeats <= 1 and others <= 1 else None
        flags = self._parts.state.flags
        if flags & ~_FLAGS:
            raise self._bad("with flags that are not supported")
        self._folded = bool(flags & re.IGNORECASE)

    def begins(self, text: str) -> bool:
        """Whether it matches at the beginning of the text. Raises as `is_whole`."""
        if self._plain is not None:
            return self._plainly(self._plain.match, text)
        return bool(self._ends(text))

    def is_whole(self, text: str) -> bool:
        """Whether it matches the whole text. Raises ModelError where that takes too long."""
        if self._plain is not None:
            return self._plainly(self._plain.fullmatch, text)
        return len(text) in self._ends(text)

    def _plainly(self, match: Callable[[str], object], text: str) -> bool:
        self._spend(2 + len(text) // 100)
        return len(text) <= _LONGEST_NAME and match(text) is not None

    def _ends(self, text: str) -> Places:
        if len(text) > _LONGEST_NAME:
            raise self._bad(f"for a name of {len(text)} characters")
        try:
            return self._run(self._parts, text, frozenset((0,)))
        except RecursionError:
            raise self._bad("that is nested too deeply") from None

    def _bad(self, why: str) -> ModelError:
        return self._fields.bad(self._name, f"has a regular expression {why}: {self._text[:60]!r}")

    def _check(self, parts: Iterable[tuple[Any, Any]]) -> None:
        """Refuse what cannot be matched by sets of places, or is not known here."""
        for kind, value in parts:
            if kind in _LETTERS:
                continue
            if kind is op.AT and value in _PLACES:
                continue
            if kind is op.BRANCH:
                inner = value[1]
            elif kind in _REPEATS:
                inner = [value[2]]
            elif kind in _LOOKS:
                inner = [value[1]]
            elif kind is op.SUBPATTERN and not value[1] and not value[2]:
                inner = [value[3]]
            else:
                raise self._bad("with a part that is not supported")
            for each in inner:
                self._check(each)

    def _run(self, parts: Iterable[tuple[Any, Any]], text: str, places: Places) -> Places:
        for kind, value in parts:
            if not places:
                break
            places = self._step(kind, value, text, places)
        return places

    def _step(self, kind: Any, value: Any, text: str, places: Places) -> Places:
        """Where a part ends that begins at one of these places."""
        self._spend(len(places))
        if kind in _LETTERS:
            end = len(text)
            return frozenset(
                at + 1 for at in places if at < end and self._takes(kind, value, text[at])
            )
        if kind is op.BRANCH:
            return frozenset().union(*(self._run(each, text, places) for each in value[1]))
        if kind is op.SUBPATTERN:
            return self._run(value[3], text, places)
        if kind in _REPEATS:
            return self._repeat(value[0], value[1], value[2], text, places)
        if kind in _LOOKS:
            direction, parts = value
            wanted = kind is op.ASSERT
            return frozenset(
                at for at in places if self._stands(direction, parts, text, at) is wanted
            )
        return frozenset(at for at in places if self._is_at(value, text, at))

    def _repeat(self, least: int, most: int, parts: Any, text: str, places: Places) -> Places:
        for _ in range(least):
            before, places = places, self._run(parts, text, places)
            if places == before:
                break
        found, new = set(places), places
        for _ in range(min(most - least, len(text) + 1)):
            # Of those that were reached before, nothing is reached that was not.
            new = self._run(parts, text, new) - found
            if not new:
                break
            found |= new
        return frozenset(found)

    def _stands(self, direction: int, parts: Any, text: str, at: int) -> bool:
        if direction > 0:
            return bool(self._run(parts, text, frozenset((at,))))
        width = parts.getwidth()[0]
        return at >= width and at in self._run(parts, text, frozenset((at - width,)))

    def _is_at(self, where: Any, text: str, at: int) -> bool:
        if where in (op.AT_BEGINNING, op.AT_BEGINNING_STRING):
            return at == 0
        if where is op.AT_END:
            return at == len(text) or text[at:] == "\n"
        if where is op.AT_END_STRING:
            return at == len(text)
        before, after = text[max(0, at - 1) : at], text[at : at + 1]
        edge = bool(_WORD.match(before)) is not bool(_WORD.match(after))
        return edge is (where is op.AT_BOUNDARY)

    def _takes(self, kind: Any, value: Any, letter: str) -> bool:
        if kind is op.ANY:
            return letter != "\n"
        letters = {letter, letter.lower(), letter.upper()} if self._folded else (letter,)
        codes = [ord(each) for each in letters if len(each) == 1]
        if kind is op.LITERAL:
            return value in codes
        if kind is op.NOT_LITERAL:
            return value not in codes
        self._spend(len(value))
        negated = value[0][0] is op.NEGATE
        return any(self._among(each, codes, letter) for each in value[negated:]) is not negated

    def _among(self, item: tuple[Any, Any], codes: list[int], letter: str) -> bool:
        kind, value = item
        if kind is op.LITERAL:
            return value in codes
        if kind is op.RANGE:
            return any(value[0] <= code <= value[1] for code in codes)
        return _CATEGORIES[value](letter)

    def _spend(self, steps: int) -> None:
        self._budget.left -= steps
        if self._budget.left < 0:
            raise self._bad("that takes too long")
