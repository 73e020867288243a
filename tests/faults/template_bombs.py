"""Templates that compute, allocate or write without end."""

from __future__ import annotations

_NEST = "{% for a in range(99999) %}{% for b in range(99999) %}"
_DOUBLE = "{% set n = namespace(x={0}) %}{% for i in range(99) %}{% set n.x = {1} %}{% endfor %}"


def _doubled(begin: str, step: str) -> str:
    return _DOUBLE.replace("{0}", begin).replace("{1}", step)


BOMBS = (
    # Time.
    f"{_NEST}{{% endfor %}}{{% endfor %}}",
    f"{_NEST}{{% set x = a * b %}}{{% endfor %}}{{% endfor %}}",
    f"{_NEST}{{{{ '' }}}}{{% endfor %}}{{% endfor %}}",
    "{{ 10 ** (10 ** 10) }}",
    "{{ 7 ** (7 ** (7 ** 7)) }}",
    "{% set x = 3 ** 3000000 %}{{ x * x * x % 7 }}{{ (x ** 9) % 7 }}",
    "{% for i in range(99999) %}{{ ('a' * 99999)|replace('a', 'b')|length }}{% endfor %}",
    "{% for i in range(99999) %}{{ ('a' * 99999).count('aab') }}{% endfor %}",
    "{% for i in range(99999) %}{{ range(99999)|sum }}{% endfor %}",
    "{% for i in range(99999) %}{{ range(99999)|list|sort|length }}{% endfor %}",
    "{% for i in range(99999) %}{{ range(99999)|map('string')|join|length }}{% endfor %}",
    "{{ ('<' * 3000000)|striptags }}",
    "{{ (('a b ' * 300000)|title|wordwrap(2))[:2] }}{{ ('a b ' * 3000000)|title }}",
    "{{ ('a' * 9999999)|list|unique|list|length }}{{ ('ab' * 9999999)|list|sort|length }}",
    "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(60) }}",
    "{% for x in [1] recursive %}{{ loop([1, 1]) }}{% endfor %}",
    "{% for i in range(99999) %}{{ lipsum(n=200)|length }}{% endfor %}",
    "{{ lipsum(n=9999999) }}",
    "{% for i in range(99999) %}{{ ('x' * 999999)|upper|lower|length }}{% endfor %}",
    "{{ '%s' % ((3 ** 9999999) % (10 ** 9)) }}{{ 3 ** 99999999 % 7 }}",
    # Memory.
    "{{ 'a' * 10 ** 11 }}",
    "{{ ('a' * 10 ** 9)|length }}",
    "{{ ([0] * 10 ** 10)|length }}",
    "{{ (messages * 10 ** 9)|length }}",
    "{{ '%99999999999d' | format(1) }}",
    "{{ '%.999999999f' % 1.0 }}",
    "{{ '{:999999999}'.format(1) }}",
    "{{ '{:>{w}}'.format(1, w=999999999) }}",
    "{{ 'a'.ljust(10 ** 10) }}",
    "{{ 'a'.center(10 ** 10) }}",
    "{{ 'a'|center(10 ** 9) }}",
    "{{ 'a'.zfill(10 ** 10) }}",
    "{{ '\t'.expandtabs(2 ** 31 - 1) }}",
    "{{ ('a' * 999999).replace('', 'x' * 9999) }}",
    "{{ 'a\nb'|indent(10 ** 9) }}",
    "{{ [1]|tojson(indent=999999999) }}",
    "{{ ('x' * 9999).join('a' * 999999) }}",
    "{{ ('a' * 99999999)|list|length }}",
    "{{ ('a,' * 99999999).split(',')|length }}",
    "{{ [1]|batch(10 ** 9, 0)|list|length }}",
    "{{ [1]|slice(10 ** 9)|list|length }}",
    "{{ strftime_now('%Y' * 10 ** 8) }}",
    "{{ ('a' * 10 ** 8).encode('utf-32')|length }}",
    _doubled("'aa'", "n.x ~ n.x"),
    _doubled("'aa'", "n.x + n.x"),
    _doubled("[0]", "n.x + n.x"),
    _doubled("messages", "[n.x, n.x]|tojson"),
    _doubled("{}", "dict(a=n.x|string, b=n.x|string)"),
    _doubled("'%s%s'", "n.x % (n.x, n.x)"),
    "{% set x %}"
    + "{% for i in range(99999) %}aaaaaaaaaa" * 2
    + "{% endfor %}{% endfor %}{% endset %}",
    # Output.
    "{% for a in range(99999) %}{% for b in range(999) %}xxxx{% endfor %}{% endfor %}",
    "{{ 'a' * 9999999 }}",
    "{% macro f() %}"
    + "x" * 9999
    + "{% endmacro %}{% for i in range(99999) %}{{ f() }}{% endfor %}",
    # Depth.
    "{% macro f(x) %}{{ f(x) }}{% endmacro %}{{ f(1) }}",
    "{{" + "(" * 50_000 + "1" + ")" * 50_000 + "}}",
    "{{" + "[" * 50_000 + "]" * 50_000 + "}}",
    "{% if 1 %}" * 5_000 + "{% endif %}" * 5_000,
    "{{ 1" + " + 1" * 100_000 + " }}",
    "{{ x" + "|upper" * 50_000 + " }}",
    "{{ x" + ".x" * 50_000 + " }}",
)
