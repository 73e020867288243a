"""From a Constraint to a grammar of llguidance's, compiled once for all rows that obey it.

Grammars come from strangers: their size is bounded here, the library bounds what it makes of them,
and they are compiled on a stack of their own, since the library follows references by recursion.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from gptcli.engine.asking.constraining import gbnf
from gptcli.engine.asking.constraining.guard import Guard, Later
from gptcli.engine.asking.constraining.words import Words, library
from gptcli.errors import ResourceError, UsageError
from gptcli.types.constraints import Constraint

if TYPE_CHECKING:
    from llguidance import LLMatcher

#: Bytes of a schema, a grammar, or all choices; of a regular expression.
LARGEST, LONGEST = 1 << 20, 1 << 16
#: The largest whole number of a `multipleOf`, without its point: the library takes time and memory
#: with it.
_MULTIPLE = 10_000
#: States of a lexer, of about 2 kB each.
_STATES = 50_000
_STACK = 256 << 20
#: White space within JSON where the schema does not say: enough to indent, and an end to it.
_SPACE = r"[\x20\x0A\x0D\x09]{1,32}"
_LETTERS = 200


class Grammar:
    """What texts have to be, ready to guide them.

    before: bytes that stand before the text, and are drawn anew with it; white: white space may.
    later: what may come before that, None where the text begins at once. Raises UsageError for
    what cannot be, and where the library is not there.
    """

    def __init__(
        self,
        constraint: Constraint,
        words: Words,
        *,
        before: str = "",
        white: bool = False,
        later: Later | None = None,
    ) -> None:
        self.constraint, self.words, self._later = constraint, words, later
        lead = json.dumps(before, ensure_ascii=False) if before else ""
        lead += r" /[ \n]{0,2}/" if white else ""
        inner = _within(constraint)
        outer = f'%llguidance {{"no_forcing": true}}\nstart: {lead} @inner'
        whole = json.dumps({"grammars": [{"lark_grammar": outer}, inner | {"name": "inner"}]})
        self._matcher = _on_a_stack(lambda: _compiled(whole, words))
        if self._matcher.is_error():
            raise UsageError(constraint.flag, _reason(self._matcher))

    def begin(self, *, at_once: bool = False) -> Guard:
        """What guides one text. at_once: whatever it was to come after is there already."""
        later = None if at_once else self._later
        return Guard(self._matcher.deep_copy(), self.words, self.constraint, later)


def _reason(matcher: LLMatcher) -> str:
    """What the library has against it, in a line."""
    lines = [line.strip() for line in matcher.get_error().splitlines() if line.strip()]
    # Of a regular expression what is wrong comes after where.
    named = [line for line in lines if line.startswith("error: ")]
    first = [*named, *lines, "error: unknown"][0]
    return f"cannot be followed: {first.removeprefix('error: ')[:_LETTERS]}"


def _compiled(whole: str, words: Words) -> LLMatcher:
    made = library()
    limits = made.LLParserLimits(max_lexer_states=_STATES, verbose_errors=False)
    found: LLMatcher = made.LLMatcher(words.tokenizer, whole, log_level=0, limits=limits)
    return found


def _on_a_stack(make: Callable[[], LLMatcher]) -> LLMatcher:
    """What is made in a thread whose stack has room for long chains of references."""
    found: list[LLMatcher] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            found.append(make())
        except BaseException as error:
            failed.append(error)

    thread = _started(run)
    thread.join()
    if failed:
        raise failed[0]
    return found[0]


def _started(run: Callable[[], None]) -> threading.Thread:
    before = threading.stack_size(_STACK)
    thread = threading.Thread(target=run, name="grammar")
    try:
        thread.start()
    except RuntimeError:
        # Not on a smaller one: a stranger's form could then end the process.
        reason = f"there is no memory for a stack of {_STACK >> 20} MiB to read it on"
        raise ResourceError("grammar", reason) from None
    finally:
        threading.stack_size(before)
    return thread


def _within(constraint: Constraint) -> dict[str, Any]:
    """The grammar of the text alone."""
    flag, text = constraint.flag, constraint.text
    size = len(text.encode()) + sum(len(each.encode()) for each in constraint.choices)
    largest = LONGEST if constraint.kind == "regex" else LARGEST
    if size > largest:
        raise UsageError(flag, f"has {size} bytes, more than the {largest} that are read")
    if constraint.kind == "json-object":
        return {"json_schema": {"x-guidance": {"whitespace_pattern": _SPACE}, "type": "object"}}
    if constraint.kind == "json-schema":
        return {"json_schema": _schema(flag, text)}
    if constraint.kind == "one-of":
        choices = map(_literal, constraint.choices)
        return {"lark_grammar": f"start: {' | '.join(choices)}"}
    if constraint.kind == "regex":
        escaped = library().regex_to_lark(text, "")
        return {"lark_grammar": f"start: /{escaped}/" if text else 'start: ""'}
    return {"lark_grammar": _lark(flag, text)}


def _literal(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _lark(flag: str, text: str) -> str:
    if not gbnf.is_gbnf(text):
        return text
    library()
    from llguidance.gbnf_to_lark import gbnf_to_lark

    try:
        return str(gbnf_to_lark(gbnf.prepared(text)))
    except RecursionError:
        raise UsageError(flag, "is nested too deeply") from None
    except Exception as error:
        # The converter has no error of its own for what is not found.
        raise UsageError(flag, f"is not valid GBNF: {str(error)[:_LETTERS]}") from None


def _schema(flag: str, text: str) -> Any:
    try:
        found = json.loads(text, parse_constant=_no_constant)
    except RecursionError:
        raise UsageError(flag, "is nested too deeply") from None
    except ValueError as error:
        raise UsageError(flag, f"is not valid JSON: {error}") from None
    if isinstance(found, bool):
        return found
    if not isinstance(found, dict):
        raise UsageError(flag, "must be an object, or true")
    for each in _objects(found):
        _check(flag, each)
    said = found.get("x-guidance")
    kept = said if isinstance(said, dict) else {}
    # What is asked for is kept to, or refused: never left out.
    strict = {"lenient": False, "coerce_one_of": False}
    return found | {"x-guidance": {"whitespace_pattern": _SPACE} | kept | strict}


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no number")


def _check(flag: str, schema: dict[str, Any]) -> None:
    """Refuse what the library takes too long for, and what it would not keep to."""
    number, least = schema.get("multipleOf"), schema.get("minProperties")
    if isinstance(number, int | float) and not isinstance(number, bool):
        digits = int("".join(map(str, Decimal(str(number)).normalize().as_tuple().digits)))
        if digits > _MULTIPLE:
            raise UsageError(flag, f"multipleOf {number} is too long a number to be kept to")
    required = schema.get("required")
    named = len(required) if isinstance(required, list) else 0
    if isinstance(least, int) and least > max(named, 1):
        # A key that is not named may come twice, which makes one of it.
        raise UsageError(flag, f"minProperties {least} can be kept to for required keys alone")


def _objects(found: Any) -> Iterator[dict[str, Any]]:
    """Every object in it, wherever it stands."""
    left = [found]
    while left:
        each = left.pop()
        if isinstance(each, dict):
            yield each
        left += each.values() if isinstance(each, dict) else each if isinstance(each, list) else ()
