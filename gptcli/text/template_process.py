"""The other end of `template_worker`: a template that is asked for documents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gptcli.errors import InputError, ModelError
from gptcli.plain import dataclass
from gptcli.text.limited_process import LimitedProcess, Limits

_WORKER = "gptcli.text.template_worker"
#: Bytes of an answer for a character: JSON spells it in twelve at most, and a run in as many.
_BYTES = 24


@dataclass(frozen=True)
class Said:
    """A message, and the [start, end) of what in its content is no mere text but a token."""

    role: str
    content: str
    marks: Sequence[tuple[int, int]] = ()


@dataclass(frozen=True)
class Rendered:
    """A document: how many of its characters are the template's, then the messages', in turn."""

    text: str
    runs: tuple[int, ...]


class TemplateProcess:
    """A template in a process of its own, which starts at once and gets ready by itself.

    subject: what to call the template in errors.
    """

    def __init__(self, source: str, subject: str) -> None:
        self._source, self._subject = source, subject
        self._parsed = False
        self._process = LimitedProcess(_WORKER, subject, Limits())

    def render(
        self,
        messages: Sequence[Said],
        names: Mapping[str, str],
        *,
        answer: bool = True,
        longest: int = 1 << 20,
    ) -> Rendered:
        """The document. names: of special tokens, by what templates call them.

        answer: with the beginning of the assistant's next turn. longest: characters that it may
        have. Raises InputError where the template refuses the conversation, ModelError where it
        fails, writes more, takes too long or too much memory.
        """
        if not self._process.runs:
            # It was ended in the middle of a question: an interrupted chat goes on.
            self._process.restart()
            self._parsed = False
        if not self._parsed:
            self._ask({"template": self._source}, 0)
            self._parsed = True
        asked = {
            "messages": [_as_json(each) for each in messages],
            "names": dict(names),
            "answer": answer,
            "longest": longest,
        }
        found = self._ask(asked, longest)
        return Rendered(found["text"], tuple(found["runs"]))

    def close(self) -> None:
        """End the process."""
        self._process.close()

    def _ask(self, request: dict[str, Any], longest: int) -> dict[str, Any]:
        answer = self._process.ask(request, longest=longest * _BYTES + 4096)
        if "error" in answer:
            self._raise(answer["error"], answer["message"])
        return answer

    def _raise(self, kind: str, message: str) -> None:
        match kind:
            case "refused":
                reason = f"the model's chat template refuses it: {message}"
                raise InputError("conversation", reason)
            case "syntax":
                raise ModelError(self._subject, f"is no template: {message}")
            case "endless":
                raise ModelError(self._subject, "writes without end")
        raise ModelError(self._subject, f"fails: {message}")


def _as_json(message: Said) -> dict[str, Any]:
    runs: list[int] = []
    end = 0
    for start, stop in message.marks:
        runs += [start - end, stop - start]
        end = stop
    return {
        "role": message.role,
        "content": message.content,
        # Its own comes first, which here is nothing.
        "own": [0, *runs, len(message.content) - end],
    }
