"""Broken chat templates: a document, or one line and code 3 or 4; never a crash or a hang."""

from __future__ import annotations

import functools
import json
import os
import random
from pathlib import Path
from typing import Any

import pytest

from gptcli.text import chat_template, template_source
from gptcli.text.chat_template import ChatTemplate
from gptcli.text.template_process import TemplateProcess
from gptcli.text.tokenizer import Tokenizer
from tests.faults.mutants import guilty, outcomes
from tests.faults.scale import seeds
from tests.faults.test_documents import (
    CONVERSATIONS,
    FAMILIES,
    TEMPLATES,
    directory_of,
    messages_of,
)

_WORDS = (
    *(
        "{%",
        "%}",
        "{{",
        "}}",
        "{#",
        "-%}",
        "|",
        "~",
        "(",
        ")",
        "[",
        "]",
        "'",
        '"',
        "\\",
        "\n",
        "\0",
    ),
    *("{% for x in messages %}", "{% endfor %}", "{% if x %}", "{% endif %}", "{% set x = x %}"),
    *("messages", "content", "none", "loop.index", "99999999", "1e999", "**", "*", "%", "// 0"),
    *(
        "|tojson",
        "|length",
        "|int",
        "|list",
        "|map('x')",
        ".split('')",
        ".format(x)",
        "é",
        "\ud7ff",
    ),
    *(
        "<|im_end|>",
        "{% macro f() %}",
        "{% endmacro %}",
        "{{ f() }}",
        "{% break %}",
        "raise_exception",
    ),
)
_VALUES: tuple[Any, ...] = (
    *(None, 3, True, [], {}, [3], [[]], [{}], [{"name": 3, "template": "x"}], [{"name": "a"}]),
    *([{"name": "default", "template": "x"}] * 2, {"default": "x"}, "\udc00", "", "x" * (2 << 20)),
)


@functools.cache
def process(_pid: int) -> TemplateProcess:
    """One for all mutants of a child: to start one takes longer than to try one."""
    return TemplateProcess("", "the template")


def mutant(seed: int) -> str:
    dice = random.Random(seed)
    text = (TEMPLATES / f"{dice.choice(sorted(FAMILIES))}.jinja").read_text()
    for _ in range(dice.choice((1, 1, 2, 5, 20))):
        start = dice.randrange(len(text) + 1)
        end = min(len(text), start + dice.choice((0, 1, 3, 10, 200)))
        put = dice.choice(
            ("", dice.choice(_WORDS), text[start:end] * 2, chr(dice.randrange(0xD800)))
        )
        text = text[:start] + put + text[end:]
    return text


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return directory_of("qwen3", tmp_path_factory.mktemp("mutants") / "m")


@seeds(5_000, blocks=2)
def test_broken_templates(
    cases: range, directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Catches an exception of Jinja's, or of the worker, that is no error of ours."""
    tokenizer = Tokenizer(directory)
    # Without a file of its own for the template.
    bare = tmp_path / "bare"
    bare.mkdir()
    (bare / "tokenizer.json").symlink_to(directory / "tokenizer.json")

    def shared(source: str, subject: str) -> TemplateProcess:
        found = process(os.getpid())
        found._source, found._subject, found._asks = source, subject, None
        return found

    monkeypatch.setattr(chat_template, "TemplateProcess", shared)
    conversations = [messages_of(said, []) for said in CONVERSATIONS.values()]

    def attempt(seed: int) -> None:
        if seed % 10 == 0:
            value = _VALUES[seed // 10 % len(_VALUES)]
            (bare / "tokenizer_config.json").write_text(json.dumps({"chat_template": value}))
            source = template_source.find(Tokenizer(bare).templates, None)
        else:
            source = template_source.TemplateSource(mutant(seed), "a mutant", "x.jinja")
        if source is not None:
            messages = conversations[seed % len(conversations)]
            form = ChatTemplate(source, tokenizer, context=4096)
            form.document(messages, answer=messages[-1].role == "user")

    found = outcomes(attempt, cases)
    assert guilty(found) == []
    codes = [each.code for each in found]
    # The faults themselves: many mutants are broken, and many are templates still.
    assert codes.count(3) > len(codes) // 5 and codes.count(0) > len(codes) // 10
