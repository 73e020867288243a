"""Renders chat templates in a process of its own: they are programs that nobody vouches for.

A sandbox keeps a template from the system, and limits from looping or allocating without end (see
`text.limited_process`). One JSON object a line comes in, one goes out:

    {"template": text}                      → {"reads": [name, …], "fields": [name, …],
                                               "kinds": [name, …], "tests": [name, …]}
    {"messages": […], "names": {…}, "set": {…}, "answer": bool,
     "longest": characters}                 → {"text": text, "runs": [count, …]}

or {"error": kind, "message": text}, where kind is "syntax", "refused" (the template called
raise_exception), "endless", "memory" or "failed". "reads" are the variables that a template may ask
for, "fields" what it may look for in a message or another value, "kinds" texts that it compares
something with, "tests" what else it asks of values (`is string`). "set" are variables that the user
gave, of which no text is the template's own. A message has "role", "content" and "own", perhaps
more, which is said as well; with "parts" its content is a list of parts: those of its fields that
are named there, each a part of that type, then the text; "own" and "runs" tell how many characters
are the template's own, then how many are not, and so on in turn (see `text.traced`).
"""

from __future__ import annotations

from itertools import groupby
from typing import Any

from gptcli.text import template_environment
from gptcli.text.limited_worker import serve
from gptcli.text.traced import Traced, own, own_of


class _RefusedError(Exception):
    """The template called raise_exception."""


class _EndlessError(Exception):
    """The document is longer than it may be."""


class _Worker:
    """One template, in the environment that it expects."""

    def __init__(self) -> None:
        self._environment = template_environment.make(_raise)
        self._template: Any = None

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """What one request gives; no exception but MemoryError comes out."""
        from jinja2 import TemplateSyntaxError

        try:
            if "template" in request:
                source = request["template"]
                self._template = template_environment.template(self._environment, source)
                return template_environment.asked_for(self._environment, source)
            return self._render(request)
        except MemoryError:
            raise
        except _RefusedError as error:
            return {"error": "refused", "message": str(error)}
        except _EndlessError:
            return {"error": "endless", "message": ""}
        except TemplateSyntaxError as error:
            return {"error": "syntax", "message": f"line {error.lineno}: {error.message}"}
        except Exception as error:
            return {"error": "failed", "message": f"{type(error).__name__}: {error}"[:1000]}

    def _render(self, request: dict[str, Any]) -> dict[str, Any]:
        variables: dict[str, Any] = {
            "messages": [_message(each) for each in request["messages"]],
            "add_generation_prompt": request["answer"],
            "tools": None,
            "documents": None,
        }
        variables |= request["set"]
        variables |= {name: own(text) for name, text in request["names"].items()}
        parts: list[str] = []
        left = request["longest"]
        for part in self._template.generate(**variables):
            left -= len(part)
            if left < 0:
                raise _EndlessError
            parts.append(part)
        return {"text": "".join(parts), "runs": _runs(b"".join(map(own_of, parts)))}


def _message(message: dict[str, Any]) -> dict[str, Any]:
    parts = message.get("parts")
    named = {name: Traced(text) for name, text in message.items() if name not in ("own", "parts")}
    content: Any = Traced(message["content"], _bytes(message["own"]))
    if parts is not None:
        said = [{"type": name, name: named.pop(name)} for name in parts]
        content = [*said, {"type": "text", "text": content}]
    return named | {"role": own(message["role"]), "content": content}


def _runs(flags: bytes) -> list[int]:
    """Ones, zeros, ones, … of flags, as many of each."""
    found = [len(list(run)) for _, run in groupby(flags)]
    return [0, *found] if flags and not flags[0] else found


def _bytes(runs: list[int]) -> bytes:
    return b"".join(bytes([1 - place % 2]) * count for place, count in enumerate(runs))


def _raise(message: object) -> None:
    raise _RefusedError(str(message)[:1000])


if __name__ == "__main__":
    serve(lambda: _Worker().answer)
