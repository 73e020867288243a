"""Hostile templates: they end soon, with one error, and leave no process behind."""

from __future__ import annotations

import pytest

from gptcli.errors import InputError, ModelError
from gptcli.text.template_process import TemplateProcess

pytestmark = pytest.mark.slow

SLOW, LARGE = r"takes more than 1\.5 s", r"takes more than 201 MB of memory|writes without end"
#: A template, and what is said of it: where both limits would do, either is right.
HOSTILE = {
    "loops": (
        "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
        SLOW,
    ),
    "writes": (
        "{% for i in range(99999) %}{% for j in range(999) %}xxxx{% endfor %}{% endfor %}",
        f"{SLOW}|{LARGE}",
    ),
    "repeats": ("{{ 'a' * 10**11 }}", LARGE),
    "power": ("{{ 10 ** (10 ** 10) }}", SLOW),
    "width": ("{{ '%99999999999d' | format(1) }}", LARGE),
    "doubles": (
        "{% set n = namespace(x='aa') %}{% for i in range(60) %}"
        "{% set n.x = n.x ~ n.x %}{% endfor %}",
        f"{SLOW}|{LARGE}",
    ),
    "list": ("{{ ([0] * 10**10) | length }}", LARGE),
    "recursion": ("{% macro f(x) %}{{ f(x) }}{% endmacro %}{{ f(1) }}", "fails: RecursionError"),
    "attributes": ("{{ ''.__class__.__mro__ }}", "fails: SecurityError"),
    "undefined": ("{{ nothing.at.all }}", "fails: UndefinedError"),
}


@pytest.mark.parametrize(("source", "reason"), HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_template_is_an_error(source, reason):
    """Catches a template that hangs the program, takes the machine's memory, or gets out."""
    process = TemplateProcess(source, "the template")
    with pytest.raises(ModelError, match=f"^the template: ({reason})"):
        process.render([], {})
    process.close()
    assert not process._process.runs


def test_a_broken_template_is_named():
    """Catches a syntax error that is told as a failure of ours."""
    process = TemplateProcess("a\n{% if %}", "the template")
    with pytest.raises(ModelError, match="the template: is no template: line 2"):
        process.render([], {})
    process.close()


def test_it_goes_on_after_a_refusal():
    """Catches a worker that dies of raise_exception, or answers the next question with it."""
    process = TemplateProcess("{% if a %}{{ raise_exception('no ' ~ a) }}{% endif %}ok", "t")
    with pytest.raises(InputError, match="refuses it: no x"):
        process.render([], {"a": "x"})
    assert process.render([], {"a": ""}).text == "ok"
    process.close()


def test_what_transformers_offers():
    """Catches a helper of chat templates that is not there: each is used by published models."""
    source = (
        "{{ strftime_now('%Y') | length }}{{ {'a': '<é>'} | tojson }}"
        "{% generation %}g{% endgeneration %}"
        "{% for i in [1, 2, 3] %}{% if i == 2 %}{% break %}{% endif %}{{ i }}{% endfor %}"
    )
    process = TemplateProcess(source, "t")
    assert process.render([], {}).text == '4{"a": "<é>"}g1'
    process.close()


def test_it_goes_on_after_it_was_ended():
    """Catches a chat that one time-out, or one Ctrl-C while a template renders, ends for good."""
    slow = (
        "{% if a %}{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}"
    )
    process = TemplateProcess(f"{slow}{{% endif %}}ok", "t")
    assert process.render([], {"a": ""}).text == "ok"
    for _ in range(2):
        with pytest.raises(ModelError, match=r"takes more than 1\.5 s"):
            process.render([], {"a": "x"})
        assert process.render([], {"a": ""}).text == "ok"
    process.close()
    broken = TemplateProcess("{% if %}", "t")
    for _ in range(2):
        with pytest.raises(ModelError, match="is no template"):
            broken.render([], {})
    broken.close()
