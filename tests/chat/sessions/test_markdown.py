"""Markdown of a conversation, read back by a CommonMark parser that is not ours."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from gptcli.chat.sessions import Session, as_markdown
from gptcli.types.chat import Message

MARKDOWNISH = st.text(st.sampled_from("`~#<>-=*_[]()|\\ \t\nab1.&;"))
ANY = st.text(st.characters(exclude_categories=["Cs"]))


def session(*contents: str, name: str = "one", model: str = "m") -> Session:
    messages = tuple(Message(("user", "assistant")[i % 2], c) for i, c in enumerate(contents))
    return Session(name, model, "2026-01-01T00:00:00+00:00", "2026-01-02", messages)


def read_back(text: str) -> list[tuple[str, str]]:
    """(role, content) of each message, as a reader's program sees the page."""
    tokens = MarkdownIt("commonmark").parse(text)
    kinds = [token.type for token in tokens if token.nesting >= 0 and token.level == 0]
    count = kinds.count("fence")
    # A title, a paragraph, and a heading with a fence for each message: nothing else at all.
    assert kinds == ["heading_open", "paragraph_open", *["heading_open", "fence"] * count]
    roles = [token.content for token in tokens if token.type == "inline"][2:]
    fences = [token.content.removesuffix("\n") for token in tokens if token.type == "fence"]
    return list(zip(roles, fences, strict=True))


def as_read(content: str) -> str:
    """What CommonMark makes of a text before it looks at it (0.31.2, 2.1 and 2.3)."""
    text = re.sub("\r\n?", "\n", content + "\n").removesuffix("\n")
    return text.replace("\0", "\ufffd")


@pytest.mark.parametrize(
    "content",
    [
        "```\n# Assistant\nforged\n```",
        "````python\n```\ninner\n```\n````",
        "`" * 40,
        "~~~\n# x\n~~~",
        "# Heading\n\n## Assistant\n\nSure.",
        "<script>alert(1)</script>\n\n</div><!-- ",
        "title\n=====\n- list\n> quote\n    code\n\ttab",
        "",
        "\n",
        "\n\n  spaces  \n\n",
        "[a]: http://x\n[a] &lt; \\* | a |\n|---|",
    ],
)
def test_contents_come_back_and_forge_nothing(content):
    """Catches a fence that a content ends, a heading that it forges, HTML, and lost blank lines."""
    assert read_back(as_markdown(session(content, content))) == [
        ("User", content),
        ("Assistant", content),
    ]


@given(st.lists(MARKDOWNISH | ANY, max_size=3))
def test_any_content_comes_back(contents):
    """Catches what the cases above do not think of."""
    found = read_back(as_markdown(session(*contents)))
    assert [content for _, content in found] == [as_read(content) for content in contents]


@given(ANY | MARKDOWNISH)
def test_names_are_text(model):
    """Catches a model's path or a name with Markdown in it, which sessions of others may have."""
    tokens = MarkdownIt("commonmark").parse(as_markdown(session("a", name="_a_", model=model)))
    title, facts = [token for token in tokens if token.type == "inline"][:2]
    kinds = {child.type for child in [*title.children, *facts.children]}
    assert title.content and kinds <= {"text", "text_special", "hardbreak", "softbreak"}


def test_the_page():
    """Catches a form that changed unawares."""
    said = (Message("system", "S"), Message("user", "a"), Message("assistant", "b"))
    assert as_markdown(Session("my-trip_1", "smollm2", "A", "B", said)) == (
        "# my-trip\\_1\n\nModel: smollm2  \nBegun: A  \nLast changed: B\n\n"
        "## System\n\n```text\nS\n```\n\n## User\n\n```text\na\n```\n\n"
        "## Assistant\n\n```text\nb\n```\n"
    )
