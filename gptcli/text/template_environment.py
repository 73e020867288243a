"""The Jinja environment that chat templates are written for: that of transformers.

`transformers.utils.chat_template_utils._compile_jinja_template`, with one difference: what the
template writes is told from what messages say, through everything that is done with it (see
`text.traced`). Only templates in the worker come here; Jinja's own limits are those of its sandbox.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from jinja2 import Template, TemplateSyntaxError, meta, nodes, pass_eval_context
from jinja2.exceptions import SecurityError
from jinja2.ext import Extension
from jinja2.filters import sync_do_join
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace
from jinja2.visitor import NodeTransformer

from gptcli.text.traced import Traced, again, joined, own, shown

#: How many names a template is told to ask for at most, and characters of one.
_MOST_NAMES, _LONGEST_NAME = 1000, 64
#: Filters that put texts side by side, written so that they lose what these know.
_SIDE_BY_SIDE = ("title", "indent", "truncate", "wordwrap")


class _Generation(Extension):
    """`{% generation %}` marks what the assistant says; here it is only its body."""

    tags = {"generation"}  # noqa: RUF012 - Jinja's own declaration is no ClassVar

    def parse(self, parser: Parser) -> list[nodes.Node]:
        """The body, in a scope of its own as in transformers."""
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return [nodes.Scope(body, lineno=line)]


class _Sandbox(ImmutableSandboxedEnvironment):
    """Jinja's sandbox, whose texts are traced."""

    concat = staticmethod(joined)

    def __init__(self) -> None:
        super().__init__(
            trim_blocks=True,
            lstrip_blocks=True,
            extensions=[_Generation, "jinja2.ext.loopcontrols"],
            finalize=shown,
        )
        #: The texts that stand in the template, by the numbers that stand for them.
        self.texts: list[Traced] = []
        #: What `~` does.
        self.joined = lambda *parts: joined(parts)

    def wrap_str_format(self, value: Any) -> Callable[..., str] | None:
        """`str.format`, which the sandbox has a guarded one for, of a traced text."""
        guarded = super().wrap_str_format(value)
        form = getattr(value, "__self__", None)
        if guarded is None or not isinstance(form, Traced):
            return guarded
        name = value.__name__
        plainly = super().wrap_str_format

        def put_together(text: str, given: Any, named: Any) -> str:
            function = plainly(getattr(text, name))
            assert function is not None
            return function(*given, **named)

        return lambda *given, **named: again(put_together, form, given, named)


def template(environment: _Sandbox, source: str) -> Template:
    """The template of a source. Raises jinja2.TemplateSyntaxError."""
    tree = environment.parse(source)
    escaping = tree.find(nodes.EvalContextModifier)
    if escaping is not None:
        raise TemplateSyntaxError("autoescape has no place in a document", escaping.lineno)
    return environment.from_string(_Owned(environment).visit(tree))


def asked_for(environment: _Sandbox, source: str) -> dict[str, list[str]]:
    """What a template looks for.

    "reads": names that nothing in it gives a value before it may look at them; "fields":
    attributes and keys that it looks for, whatever has them; "kinds": texts that it compares
    something with; "tests": the names of its tests.
    """
    tree = environment.parse(source)
    reads = meta.find_undeclared_variables(tree) - environment.globals.keys()
    fields = {node.attr for node in tree.find_all(nodes.Getattr)}
    constants = [node.arg for node in tree.find_all(nodes.Getitem)]
    for call in tree.find_all(nodes.Call):
        if isinstance(call.node, nodes.Getattr) and call.node.attr == "get":
            constants += call.args[:1]
    for test in tree.find_all(nodes.Compare):
        constants += [test.expr] if test.ops[0].op in ("in", "notin") else []
    fields |= {each.value for each in constants if isinstance(each, nodes.Const)}
    kinds: set[Any] = set()
    for test in tree.find_all(nodes.Compare):
        sides = (test.expr, *(each.expr for each in test.ops)) if test.ops[0].op == "eq" else ()
        kinds |= {each.value for each in sides if isinstance(each, nodes.Const)}
    tests = {test.name for test in tree.find_all(nodes.Test)}
    found = {"reads": reads, "fields": fields, "kinds": kinds, "tests": tests}
    return {name: _names(each) for name, each in found.items()}


def _names(found: Iterable[Any]) -> list[str]:
    names = [each for each in found if isinstance(each, str) and len(each) <= _LONGEST_NAME]
    return sorted(names)[:_MOST_NAMES]


class _Owned(NodeTransformer):
    """Puts a traced text in the place of each text that stands in a template."""

    def __init__(self, environment: _Sandbox) -> None:
        self._texts = environment.texts

    def visit_Const(self, node: nodes.Const) -> nodes.Node:  # noqa: N802 - Jinja's way to name it
        return self._traced(node, node.value) if isinstance(node.value, str) else node

    def visit_TemplateData(self, node: nodes.TemplateData) -> nodes.Node:  # noqa: N802
        return self._traced(node, node.data)

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Node:  # noqa: N802
        # The name of a field is no part of any text.
        node.node = self.visit(node.node)
        if not isinstance(node.arg, nodes.Const):
            node.arg = self.visit(node.arg)
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:  # noqa: N802
        joining = nodes.EnvironmentAttribute("joined", lineno=node.lineno)
        parts = [self.visit(each) for each in node.nodes]
        return nodes.Call(joining, parts, [], None, None, lineno=node.lineno)

    def _traced(self, node: nodes.Node, text: str) -> nodes.Node:
        self._texts.append(own(text))
        texts = nodes.EnvironmentAttribute("texts", lineno=node.lineno)
        place = nodes.Const(len(self._texts) - 1, lineno=node.lineno)
        return nodes.Getitem(texts, place, "load", lineno=node.lineno)


class _Dict:
    """`dict`, without the rest of that class."""

    def __call__(self, *given: Any, **named: Any) -> dict[Any, Any]:
        return dict(*given, **named)

    def fromkeys(self, *given: Any) -> dict[Any, Any]:
        """See dict."""
        return dict.fromkeys(*given)


class _Namespace(Namespace):
    """`namespace`, whose fields do not begin with an underscore: such names lead out."""

    def __init__(*given: Any, **named: Any) -> None:
        fields = dict(*given[1:], **named)
        for name in fields:
            _check(name)
        Namespace.__init__(given[0], fields)

    def __setitem__(self, name: str, value: Any) -> None:
        _check(name)
        Namespace.__setitem__(self, name, value)


def _check(name: Any) -> None:
    if isinstance(name, str) and name.startswith("_"):
        raise SecurityError(f"a namespace can have no field {name!r}")


def make(refuse: Callable[[object], None]) -> _Sandbox:
    """The environment; `refuse` is what raise_exception does."""
    found = _Sandbox()
    found.globals |= {
        "raise_exception": refuse,
        "strftime_now": lambda form: datetime.now().strftime(form),
        "dict": _Dict(),
        "namespace": _Namespace,
    }
    found.filters |= {"tojson": _to_json, "join": _join}
    found.filters |= {name: _side_by_side(found.filters[name]) for name in _SIDE_BY_SIDE}
    return found


def _side_by_side(function: Callable[..., str]) -> Callable[..., str]:
    @functools.wraps(function)
    def twice(*given: Any, **named: Any) -> str:
        return again(lambda some, others: function(*some, **others), given, named)

    return twice


@pass_eval_context
def _join(
    context: nodes.EvalContext,
    value: Iterable[Any],
    d: str = "",
    attribute: str | int | None = None,
) -> str:
    return sync_do_join(context, value, own("") if d == "" else d, attribute)


def _to_json(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """Without the HTML escapes of Jinja's own."""
    return json.dumps(
        value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys
    )
