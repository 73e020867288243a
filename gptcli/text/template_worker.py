"""Renders chat templates in a process of its own: they are programs that nobody vouches for.

A sandbox keeps a template from the system, and limits from looping or allocating without end (see
`text.limited_process`). One JSON object a line comes in, one goes out:

    {"template": text}            → {"constants": [text, …]}: the strings that its logic mentions
    {"render": {variables}}       → {"text": text}

or {"error": kind, "message": text}, where kind is "syntax", "refused" (the template called
raise_exception), "memory" or "failed".
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from gptcli.text.limited_worker import serve

#: Characters of a rendered document.
LONGEST = 16 << 20


class _RefusedError(Exception):
    """The template called raise_exception."""


class _Worker:
    """The environment that transformers gives to chat templates, and one template in it."""

    def __init__(self) -> None:
        from jinja2 import nodes
        from jinja2.ext import Extension
        from jinja2.parser import Parser
        from jinja2.sandbox import ImmutableSandboxedEnvironment

        class Generation(Extension):
            """`{% generation %}` marks what the assistant says; here it is only its body."""

            tags = {"generation"}  # noqa: RUF012 - Jinja's own declaration is no ClassVar

            def parse(self, parser: Parser) -> list[nodes.Node]:
                """The body, in a scope of its own as in transformers."""
                line = next(parser.stream).lineno
                body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
                return [nodes.Scope(body, lineno=line)]

        self._environment = ImmutableSandboxedEnvironment(
            trim_blocks=True, lstrip_blocks=True, extensions=[Generation, "jinja2.ext.loopcontrols"]
        )
        self._environment.filters["tojson"] = _to_json
        self._environment.globals["raise_exception"] = _raise
        self._environment.globals["strftime_now"] = _now
        self._template: Any = None

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """What one request gives; no exception but MemoryError comes out."""
        from jinja2 import TemplateSyntaxError

        try:
            if "template" in request:
                return {"constants": self._parse(request["template"])}
            return {"text": self._render(request["render"])}
        except MemoryError:
            raise
        except _RefusedError as error:
            return {"error": "refused", "message": str(error)}
        except TemplateSyntaxError as error:
            return {"error": "syntax", "message": f"line {error.lineno}: {error.message}"}
        except Exception as error:
            return {"error": "failed", "message": f"{type(error).__name__}: {error}"[:1000]}

    def _parse(self, source: str) -> list[str]:
        from jinja2 import nodes

        tree = self._environment.parse(source)
        self._template = self._environment.from_string(source)
        found = {node.value for node in tree.find_all(nodes.Const) if isinstance(node.value, str)}
        return sorted(found)

    def _render(self, variables: dict[str, Any]) -> str:
        parts: list[str] = []
        size = 0
        for part in self._template.generate(**variables):
            size += len(part)
            if size > LONGEST:
                raise MemoryError
            parts.append(part)
        return "".join(parts)


def _raise(message: object) -> None:
    raise _RefusedError(str(message)[:1000])


def _now(form: str) -> str:
    return datetime.now().astimezone().strftime(form)


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


if __name__ == "__main__":
    serve(lambda: _Worker().answer)
