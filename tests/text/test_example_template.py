"""Templates of examples: what they may be, what they make, where an answer ends."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gptcli.errors import UsageError
from gptcli.text.braces import parse
from gptcli.text.example_template import ExampleTemplate, unescape
from gptcli.types.few_shot import Example

WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("{input", "has a '{' at character 1 that is not closed"),
        ("a} {input}{output}", "has a '}' at character 2 that closes nothing"),
        ("{input} {output} {", "has a '{' at character 18 that is not closed"),
        ("{input} {{x}", "has a '}' at character 12 that closes nothing"),
        ("{input}", "must have {input} once and {output} once, after it"),
        ("{output} {input}", "must have"),
        ("{input}{input}{output}", "must have"),
        ("{input} {answer}", "has {answer}, but only {input}, {output} can be there"),
        ("{input!r} {output}", "has {input!r}"),
        ("{input:>9} {output}", "has {input:>9}"),
        ("{input.__class__} {output}", "has {input.__class__}"),
        ("{} {output}", "has {}"),
    ],
)
def test_what_is_no_template(template, reason):
    """Catches a brace that is passed over, and a field that reaches into an object."""
    with pytest.raises(UsageError, match=re.escape(reason)):
        ExampleTemplate(template, "\n")


@given(WORDS, WORDS)
def test_texts_with_braces_stay_as_they_are(given_, due):
    """Catches a text that is taken for a template itself."""
    template = ExampleTemplate("{{Q}}: {input}\nA: {output} {{}}", "\n")
    assert template.render(Example(given_, due)) == f"{{Q}}: {given_}\nA: {due} {{}}"


@given(st.text("{}ab", max_size=12))
def test_parse_agrees_with_format(text):
    """Catches a text that Python's own format takes and we do not, or the other way round."""
    try:
        expected = text.format(a="1", b="2", ab="3", ba="4")
    except (ValueError, KeyError, IndexError):
        expected = None
    try:
        parts = parse(text, ("a", "b", "ab", "ba"), "t")
    except UsageError:
        assert expected is None
        return
    values = {"a": "1", "b": "2", "ab": "3", "ba": "4", None: ""}
    assert "".join(literal + values[field] for literal, field in parts) == expected


def test_document():
    """Catches an instruction without its separator, and a query with a space at its end."""
    template = ExampleTemplate("Q: {input}\nA: {output}", "\n\n")
    pair = [Example("1", "2")]
    assert template.document("Do.", pair, "3") == "Do.\n\nQ: 1\nA: 2\n\nQ: 3\nA:"
    assert template.document(None, [], "3") == "Q: 3\nA:"


@pytest.mark.parametrize(
    ("template", "separator", "output", "stops"),
    [
        ("Q: {input}\nA: {output}", "\n\n", "short", {"\n"}),
        ('{input} => "{output}"', "\n", "short", {"\n", '"'}),
        ('{input} => "{output}"', "\n", 'say "x".', {"\n"}),
        ('{input} => "{output}"', "\n", 'say "x".\ny', {'"\n'}),
        ("{input} -> {output};\n", "", "short", {"\n", ";"}),
        ("{input}={output}", "; ", "short", {"\n", ";"}),
        ("{input}: {output}", " | ", "short", {"\n", "|"}),
        ("{input}: {output}", " | ", "a|b", {"\n", " |"}),
        ("Q: {input} A: {output}", " ", "short", {"\n", " Q:"}),
        ("Q: {input}\nA: {output}", "\n\n", "two\nlines", {"\n\nQ:"}),
        ("{input}\n{output}", "\n###\n", "two\nlines", {"\n###"}),
        ("{input}\n{output}\n\n", "\n", "two\nlines", {"\n\n\n"}),
        ("{input}>{output}", "\n\n", "two\n\nlines", set()),
    ],
)
def test_the_border_of_an_answer(template, separator, output, stops):
    """Catches an answer that is cut at its own line break, or runs into the next example."""
    found = ExampleTemplate(template, separator).stops([Example("x", output)])
    assert set(found) == stops and len(found) == len(stops)


def test_unescape():
    r"""Catches \\n that becomes a new line, and other backslashes that are lost."""
    assert unescape(r"a\nb\tc\\n\d\u00e9") == "a\nb\tc\\n\\d\\u00e9"
    assert unescape("\\") == "\\"
