"""What a template is told of thinking, by the names that it reads."""

from __future__ import annotations

import pytest

from gptcli.errors import UsageError
from gptcli.text.template_process import Said, TemplateProcess
from gptcli.text.template_switches import switches, values_of
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
