"""What a template is told of thinking, by the names that it reads."""

from __future__ import annotations

import pytest

from gptcli.errors import UsageError
from gptcli.text.template_process import Said, TemplateProcess
from gptcli.text.template_switches import said_of, switches, values_of
from gptcli.types.chat import ChatForm


@pytest.mark.parametrize(
    ("reads", "source", "form", "told"),
    [
        ({"enable_thinking"}, "", ChatForm(think=False), {"enable_thinking": False}),
        (
            {"enable_thinking", "thinking"},
            "",
            ChatForm(think=True),
            {"enable_thinking": True, "thinking": True},
        ),
        ({"thinking_mode"}, "", ChatForm(think=True), {"thinking_mode": "enabled"}),
        ({"thinking_budget"}, "", ChatForm(think=False), {"thinking_budget": 0}),
        (
            {"reasoning_effort"},
            "in ['high', 'no_think']",
            ChatForm(think=False),
            {"reasoning_effort": "no_think"},
        ),
        ({"reasoning_effort"}, "", ChatForm(effort="low"), {"reasoning_effort": "low"}),
        (
            {"a", "b"},
            "",
            ChatForm(variables=(("a", "[1, null]"), ("b", "yes"))),
            {"a": [1, None], "b": "yes"},
        ),
    ],
)
def test_a_switch_has_the_name_that_a_template_reads(reads, source, form, told):
    """Catches a name that is right for another template, and a word where true is due."""
    assert values_of(form, reads, source) == told


def test_a_template_that_knows_budgets_is_told_one():
    """Catches a model that plans for more thoughts than it may have."""
    assert values_of(ChatForm(), {"thinking_budget"}, "", budget=9) == {"thinking_budget": 9}
    assert values_of(ChatForm(), {"x"}, "", budget=9) == {}


@pytest.mark.parametrize(
    ("form", "message"),
    [
        (ChatForm(think=False), "--no-think: the chat template reads none of enable_thinking"),
        (ChatForm(think=True), "(it reads reasoning_effort)"),
        (ChatForm(variables=(("bos_token", "x"),)), "bos_token is not for anybody to set"),
        (ChatForm(variables=(("y", "1"),)), "--template-set: the chat template reads no y"),
    ],
)
def test_what_a_template_does_not_read_is_refused(form, message):
    """Catches a wish that is passed over without a word."""
    with pytest.raises(UsageError) as caught:
        values_of(form, {"reasoning_effort", "messages"}, "", names={"bos_token"})
    assert message in str(caught.value)


def test_a_word_is_said_where_no_variable_is_read():
    """Catches a word that a template only writes, one beside a variable, and one of two."""
    source = "{% if '/think' in c %}{% elif '/no_think' in c %}{% endif %}"
    assert said_of(ChatForm(think=True), {"messages"}, source) == "/think"
    assert said_of(ChatForm(think=False), {"messages"}, source) == "/no_think"
    assert values_of(ChatForm(think=False), {"messages"}, source) == {}
    assert switches({"messages"}, source) == ["/think", "/no_think"]
    assert said_of(ChatForm(), {"messages"}, source) == ""
    assert said_of(ChatForm(think=False), {"enable_thinking"}, source) == ""
    for other in ("{{ '/think' ~ '/no_think' }}", "{% if '/no_think' in c %}{% endif %}"):
        assert said_of(ChatForm(think=False), {"messages"}, other) == ""
        with pytest.raises(UsageError, match="--no-think"):
            values_of(ChatForm(think=False), {"messages"}, other)


_TEXTS = "{% for b in m.content %}{% if b.type == 'text' %}{{ b.text }}{% endif %}{% endfor %}"
_PARTS = (
    "{% if m.content is string %}{{ m.content }}{% else %}{% for b in m.content %}"
    "{% if b.type == 'text' %}{{ b.text }}"
    "{% elif b.type == 'thinking' %}[{{ b.thinking }}]{% endif %}{% endfor %}{% endif %}"
)


@pytest.mark.parametrize(
    ("body", "text", "runs"),
    [
        # Of lists alone, of both with thoughts in the lists, of texts alone.
        (_TEXTS, "hiyes", (0, 5)),
        (_PARTS, "hi[Hm]yes", (0, 2, 1, 2, 1, 3)),
        (
            "{{ m.content }}{{ m.thinking }}{{ m.kind == 'thinking' and '' }}",
            "hiFalseyesHmFalse",
            (),
        ),
    ],
)
def test_content_comes_as_a_template_takes_it(body, text, runs):
    """Catches an empty document of a template that takes lists, and a thought not given back."""
    process = TemplateProcess("{% for m in messages %}" + body + "{% endfor %}", "t")
    said = [Said("user", "hi"), Said("assistant", "yes", thinking="Hm")]
    found = process.render(said, {})
    assert found.text == text
    assert not runs or found.runs == runs
    process.close()


def test_a_template_tells_what_it_asks_for():
    """Catches a variable that is read behind a filter, and fields by each way to have them."""
    source = (
        "{% if enable_thinking | default(true) %}{% set own = 1 %}{{ own }}{% endif %}"
        "{% for m in messages %}{{ m.content }}{{ m['a'] }}{{ m.get('b', '') }}"
        "{% if 'reasoning' in m %}{{ m.reasoning }}{% endif %}{% endfor %}"
    )
    process = TemplateProcess(source, "t")
    assert {"enable_thinking", "messages"} <= process.reads
    assert switches(process.reads) == ["enable_thinking"]
    said = [Said("assistant", "yes", thinking="Hm")]
    found = process.render(said, {}, values={"enable_thinking": False})
    assert found.text == "yesHm"
    # The template's own are what it wrote itself, and nothing that it was given.
    assert found.runs == (0, 5)
    process.close()
