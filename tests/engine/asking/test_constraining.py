"""What may come next in a text of a form, on a vocabulary made for it, without a model."""

from __future__ import annotations

import json
import re
from random import Random

import numpy as np
import pytest

from gptcli.engine.asking.constraining import gbnf
from gptcli.engine.asking.constraining.closing import closing
from gptcli.engine.asking.constraining.grammar import Grammar
from gptcli.engine.asking.constraining.guard import Guard, Later
from gptcli.engine.asking.constraining.words import Words
from gptcli.errors import InputError, UsageError
from gptcli.types.constraints import Constraint

END, OTHER_END, CONTROL = 300, 301, 302
#: Every byte, tokens of several, two of the same bytes, one of none, and control tokens.
PIECES = [bytes([i]) for i in range(256)]
PIECES += [b"ab", b"abc", b"yes", b"ye", b'{"', b'":', b"12", "é".encode(), b"  ", b"yes", b"ab"]
PIECES += [b""] * (END - len(PIECES)) + [b"<|end|>", b"</s>", b"<|role|>"]


@pytest.fixture(scope="module")
def words() -> Words:
    return Words(PIECES, {END, OTHER_END, CONTROL}, {END, OTHER_END})


def guard_of(words: Words, constraint: Constraint, **more: object) -> Guard:
    return Grammar(constraint, words, **more).begin()  # type: ignore[arg-type]


def allowed(guard: Guard) -> set[int]:
    mask = guard.mask
    assert mask is not None
    return set(map(int, np.flatnonzero(mask)))


def drawn(guard: Guard, chance: Random, most: int = 200) -> bytes:
    """A text by chance; of what may come everything is as likely."""
    text = b""
    for _ in range(most):
        token = chance.choice(sorted(allowed(guard)))
        if token in (END, OTHER_END):
            return text
        text += PIECES[token]
        guard.take(token)
        if guard.over:
            return text
    return text + b"..." if not guard.whole else text


CHOICES = ("yes", "yes!", "yet", "abé", 'abc\n"\\', "\x07", "12")


def test_a_mask_is_every_token_that_some_text_goes_on_with(words):
    """Catches forced tokens in place of all that spell the same, a twin that is left out, an end
    before the text is whole, and a control token.
    """
    guard, text = guard_of(words, Constraint("one-of", choices=CHOICES)), b""
    for token in (ord("y"), ord("e"), ord("s"), ord("!")):
        rest = [each.encode()[len(text) :] for each in CHOICES if each.encode().startswith(text)]
        fit = {i for i, each in enumerate(PIECES) if each and any(r.startswith(each) for r in rest)}
        assert allowed(guard) == fit | ({END, OTHER_END} if b"" in rest else set())
        assert guard.whole == (b"" in rest)
        guard.take(token)
        text += PIECES[token]
    assert guard.over
    assert allowed(guard) == {END, OTHER_END}


EXPRESSIONS = (
    r"[a-z]{2,5}@(ab|xy)\.com",
    r"-?\d{1,3}",
    r'a/b"c\\d',
    r"(?i)yes|no",
    r"[^a\n]x",
    r"\x41\u00e9",
    r"^ab$",
    r"é{2}[\]\-\\]",
)


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_texts_of_an_expression_are_matched_by_it(words, expression):
    """Catches an expression that is cut at a slash or escaped twice; `re` is the judge."""
    for seed in range(20):
        text = drawn(guard_of(words, Constraint("regex", expression)), Random(seed)).decode()
        assert re.fullmatch(expression, text), text


GBNF = {
    # Names that differ in case or dashes alone, the name `start`, comments, a line that goes on.
    'root ::= start-1 | Start-1 |\n  start_1 # c\nstart-1 ::= "1"\nStart-1 ::= "2"\n'
    'start_1 ::= start\nstart::="3"': "[123]",
    r'root ::= "\x41\u0042\U00000043" "a\[b\]" "/" "\t" "\u0007"': r"ABCa\[b\]/\t\x07",
    r'root ::= [^"\\\x7F\x00-\x1F]{1,3} "\""': r'[^"\\\x7f\x00-\x1f]{1,3}"',
    r"root ::= [\]a-b^&~] [0-9]+": r"[\]ab^&~][0-9]+",
    'root ::= "ab"* ("x" | "y")? "é"{2}': "(ab)*[xy]?éé",
    "root ::= . .": r"(?s)..",
}


@pytest.mark.parametrize("grammar", GBNF)
def test_gbnf_is_read_as_llama_cpp_reads_it(words, grammar):
    """Catches what llguidance's converter takes for another grammar, or for none."""
    for seed in range(20):
        guard = guard_of(words, Constraint("grammar", grammar))
        text = drawn(guard, Random(seed)).decode(errors="replace")
        assert re.fullmatch(GBNF[grammar], text), text


@pytest.mark.parametrize(
    ("grammar", "reason"),
    [
        ("root ::= other", "no rule 'other'"),
        ("root ::= <think>", "is no GBNF"),
        (r'root ::= "\q"', "is no escape"),
        ("x ::= x", "no rule 'root'"),
        ("start: other", "other"),
        ("root ::= " + "(" * 3000 + '"a"' + ")" * 3000, "nested too deeply"),
    ],
)
def test_a_grammar_that_is_none_is_refused(words, grammar, reason):
    """Catches a traceback of a converter, and a rule that is quietly empty."""
    with pytest.raises(UsageError, match=reason) as raised:
        guard_of(words, Constraint("grammar", grammar))
    assert raised.value.subject == "--grammar"
    assert "\n" not in str(raised.value)


def test_lark_is_no_gbnf():
    """Catches a grammar that goes to the converter though it is not its language."""
    assert not gbnf.is_gbnf('start: "a" | b\nb: /[::=]/')


def test_json_of_a_schema(words):
    """Catches text beside the JSON, and white space without an end."""
    schema = {
        "type": "object",
        "properties": {"a": {"enum": ["x", 1]}, "b": {"type": "boolean"}},
        "required": ["a", "b"],
        "additionalProperties": False,
    }
    for seed in range(20):
        guard = guard_of(words, Constraint("json-schema", json.dumps(schema)))
        text = drawn(guard, Random(seed), 2000)
        assert set(json.loads(text)) == {"a", "b"}
        assert not re.search(rb"\s{33}", text)


DEEP: dict[str, object] = {
    "$ref": "#/$defs/a0",
    "$defs": {
        f"a{i}": {
            "anyOf": [{"$ref": f"#/$defs/a{i + 1}"}, {"items": {"$ref": f"#/$defs/a{i + 1}"}}]
        }
        for i in range(3000)
    }
    | {"a3000": {"type": "string"}},
}


@pytest.mark.parametrize(
    ("kind", "text", "reason"),
    [
        ("regex", "(", "unclosed group"),
        ("regex", "(?=a)b", "look-around"),
        ("regex", "(" * 10_000 + ")" * 10_000, ""),
        ("regex", "a" * 70_000, "more than the 65536"),
        ("regex", "a?b?c?" * 3000, "fuel"),
        ("json-schema", "{", "not valid JSON"),
        ("json-schema", "[]", "must be an object"),
        ("json-schema", '{"items": ' * 5000 + "{}" + "}" * 5000, "nested too deeply"),
        ("json-schema", '{"type": "foo"}', "foo"),
        ("json-schema", '{"uniqueItems": true}', "uniqueItems"),
        ("json-schema", '{"x-guidance": {"lenient": true}, "uniqueItems": true}', "uniqueItems"),
        ("json-schema", '{"$ref": "http://127.0.0.1/x"}', ""),
        ("json-schema", '{"type": "integer", "multipleOf": 99999989}', "too long a number"),
        ("json-schema", '{"items": {"multipleOf": 1.2345678}}', "too long a number"),
        ("json-schema", '{"type": "object", "minProperties": 3}', "required keys alone"),
        ("json-schema", '{"multipleOf": NaN}', "NaN is no number"),
        ("json-schema", '{"multipleOf": 1e999}', ""),
        ("json-schema", json.dumps({"enum": [f"x{i}" * 20 for i in range(20_000)]}), ""),
    ],
)
def test_what_is_too_much_is_refused_in_a_line(words, kind, text, reason):
    """Catches minutes, gigabytes or a crash for a stranger's form, and a wish that is left out."""
    with pytest.raises(UsageError, match=reason or ".") as raised:
        guard_of(words, Constraint(kind, text))
    assert raised.value.subject == f"--{kind}"
    assert "\n" not in str(raised.value) and len(str(raised.value)) < 400


def test_a_long_chain_of_references_has_its_own_stack(words):
    """Catches a process that dies where the library follows references by recursion."""
    try:
        guard_of(words, Constraint("json-schema", json.dumps(DEEP)))
    except UsageError as error:
        assert error.subject == "--json-schema"


def test_a_form_begins_after_what_it_awaits(words):
    """Catches thoughts that are held to the form, and what was drawn before that is forgotten."""
    constraint = Constraint("one-of", choices=("yes",))
    later = Later((), True, lambda: lambda drawn: drawn[-3:] == [1, 2, 1])
    guard = guard_of(words, constraint, later=later)
    for token in (1, 2, 2, 1, 2, 1):
        assert guard.mask is None and not guard.whole and not guard.over
        guard.take(token)
    firsts = {i for i, each in enumerate(PIECES) if each in (b"y", b"ye", b"yes")}
    assert allowed(guard) == firsts
    assert Grammar(constraint, words, later=later).begin(at_once=True).begun


def test_a_thought_may_begin_and_need_not(words):
    """Catches a mark that may not come first, one that may come later, and a text without one that
    is not held to the form.
    """
    constraint = Constraint("one-of", choices=("yes",))
    firsts = {i for i, each in enumerate(PIECES) if each in (b"y", b"ye", b"yes")}
    opening = min(set(range(len(PIECES))) - firsts)
    later = Later((opening,), False, lambda: lambda drawn: len(drawn) == 3)
    guard = guard_of(words, constraint, later=later)
    assert allowed(guard) == {*firsts, opening}
    for token in (opening, 1, 1):
        guard.take(token)
    assert guard.begun and allowed(guard) == firsts
    guard = guard_of(words, constraint, later=later)
    guard.take(PIECES.index(b"y"))
    assert guard.begun and opening not in allowed(guard)


@pytest.mark.parametrize("before", ["", "ab", 'x\n"é'])
def test_what_stands_before_is_drawn_anew_with_it(words, before):
    """Catches a prompt's end that is forgotten, or that a token cannot reach over."""
    constraint, whole = Constraint("regex", "c[0-9]"), before.encode() + b"c"
    guard, text = guard_of(words, constraint, before=before), b""
    while text != whole:
        # The longest: "abc" is one token.
        token = max(allowed(guard), key=lambda i: len(PIECES[i]))
        assert whole.startswith(text + PIECES[token])
        text += PIECES[token]
        guard.take(token)
    assert allowed(guard) == set(range(ord("0"), ord("9") + 1))


@pytest.mark.parametrize(
    ("kind", "form", "text", "end"),
    [
        ("json-object", "", b'{"a": [1, {"b": "x', b'"}]}'),
        ("json-object", "", '{"é'.encode()[:-1], b'\x80":""}'),
        ("regex", "[a-z]{3}-done", b"a", None),
        ("regex", "ab", b"ab", b""),
        ("one-of", "", b"y", b"es"),
        ("grammar", 'start: "a" start | "b"', b"aaa", b"b"),
    ],
)
def test_what_was_cut_off_is_closed_by_the_least(words, kind, form, text, end):
    """Catches an end that is longer than it need be, one that is none, and a walk without one."""
    guard = guard_of(words, Constraint(kind, form, choices=("yes", "yes, and more")))
    for byte in text:
        guard.take(byte)
    found = closing(guard, words)
    assert found is not None
    assert end is None or found == end
    for byte in found:
        guard.take(byte)
    assert guard.whole


def test_what_has_no_end_near_is_not_closed(words):
    """Catches a search that goes on for ever."""
    guard = guard_of(words, Constraint("regex", "(a[a-z]{5000}){4}"))
    assert closing(guard, words) is None


def test_a_model_without_ends_stops_where_nothing_follows():
    """Catches a text that can neither go on nor end."""
    words = Words(PIECES[:300], (), ())
    guard = guard_of(words, Constraint("one-of", choices=("yes",)))
    guard.take(PIECES.index(b"yes"))
    assert guard.over
    with pytest.raises(InputError, match="knows no end"):
        _ = guard.mask
