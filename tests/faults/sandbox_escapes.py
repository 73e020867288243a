"""Templates that try to get out of the sandbox, as people have: each writes REACHED if it does.

A root is an object that every template has. From it a chain of attributes leads to all classes, or
to a function's globals; each attribute is asked for in one of the ways that Jinja has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

#: What leads to `object.__subclasses__`, by its class.
VALUES = (
    *("''", "[]", "{}", "()", "1", "1.5", "true", "none", "'a'.split()", "'%d'"),
    *("messages", "messages[0]", "messages[0].role", "messages[0].content", "bos_token"),
    *("messages[0].content[1:]", "messages[0].content.upper()", "(messages[0].content ~ 1)"),
    *("namespace(a=1)", "range(3)", "dict(a=1)", "cycler(1)", "joiner(',')", "nothing"),
)
#: What leads to `__globals__`.
FUNCTIONS = (
    *("lipsum", "cycler.__init__", "joiner.__init__", "namespace.__init__", "raise_exception"),
    *("strftime_now", "self.__init__", "nothing.__init__", "range(1).__class__.__init__"),
    *("messages[0].content.split", "messages[0].content.__add__", "bos_token.replace"),
    *("messages[0].content.join.__func__", "dict.fromkeys", "dict.__call__", "tell"),
)
_SPELLINGS: dict[str, Callable[[str, str], str]] = {
    "dot": lambda x, name: f"{x}.{name}",
    "item": lambda x, name: f"{x}['{name}']",
    "attr": lambda x, name: f"({x}|attr('{name}'))",
    "escaped": lambda x, name: f"({x}|attr('{name.replace('_', chr(92) + 'x5f')}'))",
    "joined": lambda x, name: f"{x}['__' ~ '{name.strip('_')}' ~ '__']",
    "mapped": lambda x, name: f"([{x}]|map(attribute='{name}')|first)",
    "mapped attr": lambda x, name: f"([{x}]|map('attr', '{name}')|first)",
    "listed": lambda x, name: f"{x}[['__', '{name.strip('_')}', '__']|join]",
}
_TELL = "{% macro tell() %}x{% endmacro %}"


def chains() -> Iterator[str]:
    """Every root by several spellings."""
    for place, root in enumerate(VALUES):
        for ask in list(_SPELLINGS.values())[place % 2 :: 2]:
            classes = f"({ask(ask(root, '__class__'), '__mro__')}|last)"
            found = f"{ask(classes, '__subclasses__')}()"
            yield f"{{% if {found}|length > 9 %}}REACHED{{% endif %}}"
    for place, root in enumerate(FUNCTIONS):
        for ask in list(_SPELLINGS.values())[place % 2 :: 2]:
            found = ask(root, "__globals__")
            yield f"{_TELL}{{% if {found}|length > 3 %}}REACHED{{% endif %}}"


#: Forms that ask for attributes; out of the sandbox they show a class.
FORMS = (
    "{{ '{0.__class__}'.format(1) }}",
    "{{ '{0.__class__.__mro__}'.format(1) }}",
    "{{ '{a.__class__}'.format(a=1) }}",
    "{{ '{a.__class__}'.format_map({'a': 1}) }}",
    "{{ '{0[__class__]}'.format(1) }}",
    "{{ ('{0.__class__}'|attr('format'))(1) }}",
    "{{ '{0.__class__}'['format'](1) }}",
    "{{ ['{0.__class__}'.format]|map('call', 1)|first }}",
    "{{ messages[0].content.__class__.format('{0.__class__}', 1) }}",
    "{% set f = '{0.__class__}'.format %}{{ f(1) }}",
    "{% set f = '{a.__class__}'.format_map %}{{ f({'a': 1}) }}",
    "{{ ('{0.__' ~ 'class__}').format(1) }}",
    "{{ '{0.__class__.__init__.__globals__}'.format(cycler) }}",
    "{{ '{0.__globals__}'.format(lipsum) }}",
    "{% macro m(f) %}{{ f(1) }}{% endmacro %}{{ m('{0.__class__}'.format) }}",
    "{% call(f) m('x') %}{{ '{0.__class__}'.format(1) }}{% endcall %}",
    "{{ (messages[0].content ~ '{0.__class__}').format(1)[5:] }}",
    "{{ '{0._own}'.format(messages[0].content) }}",
)
#: What changes, reads or loads something.
DEEDS = (
    "{{ messages.append(1) }}",
    "{{ messages.clear() }}",
    "{{ messages.pop() }}",
    "{{ messages.extend([1]) }}",
    "{{ messages[0].update({'a': 1}) }}",
    "{{ messages[0].pop('role') }}",
    "{{ messages[0].setdefault('a', 1) }}",
    "{{ messages|attr('append')(1) }}",
    "{{ messages['append'](1) }}",
    "{{ ([messages]|map(attribute='append')|first)(1) }}",
    "{{ messages.sort() }}",
    "{{ messages.reverse() }}",
    "{% include '/etc/passwd' %}",
    "{% import '/etc/passwd' as x %}{{ x }}",
    "{% from '/etc/passwd' import x %}{{ x }}",
    "{% extends '/etc/passwd' %}",
    "{% include ['a', '/etc/passwd'] %}",
    "{% set n = namespace() %}{% set n.__class__ = 1 %}{{ n }}",
    "{% set n = namespace(__init__=1) %}{{ n }}",
    "{% set messages.x = 1 %}{{ messages }}",
    "{{ raise_exception.__defaults__[0] }}",
    "{{ strftime_now.__code__.co_consts[0] }}",
    "{{ lipsum.__code__.co_code[0] }}",
    "{{ (messages|map('upper'))['gi_frame'].f_builtins }}",
    "{{ (messages|map('upper')).gi_frame.f_back.f_globals }}",
    "{{ (messages|map('upper')).gi_code.co_consts }}",
    "{{ self._TemplateReference__context.environment.globals }}",
    "{{ caller.__globals__.os }}",
    "{{ loop.__init__.__globals__.os }}",
    "{% for x in [1] %}{{ loop.__class__.__init__.__globals__.os }}{% endfor %}",
    "{{ messages[0].content._own.hex() }}",
    "{{ environment.globals }}{{ environment.texts[0] }}",
    "{{ texts[0] }}{{ joined('a') }}",
    "{{ __import__('os').getcwd() }}",
    "{{ open('/etc/passwd').read() }}",
    "{{ eval('1') }}",
    "{{ get_flashed_messages.__globals__ }}",
    "{{ config.items() }}",
    "{{ request.application.__globals__ }}",
    "{% set x = lipsum.__globals__ %}{{ x.os.system('true') }}",
)
