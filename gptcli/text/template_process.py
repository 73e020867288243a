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
#: Bytes that the names of what a template asks for may take.
_NAMES = 1 << 20
#: What templates call a thought, in the order in which they are tried.
_THOUGHTS = ("reasoning_content", "reasoning", "thinking")


@dataclass(frozen=True)
class Said:
    """A message, and the [start, end) of what in its content is no mere text but a token.

    thinking: what was thought before it, for a template that asks for that.
    """

    role: str
    content: str
    marks: Sequence[tuple[int, int]] = ()
    thinking: str = ""


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
        #: "reads" and "fields", see `template_worker`; None before it has read the template.
        self._asks: dict[str, list[str]] | None = None
        self._process = LimitedProcess(_WORKER, subject, Limits())

    @property
    def reads(self) -> frozenset[str]:
        """The variables that the template may ask for. Raises ModelError as `render` does."""
        return frozenset(self._parsed()["reads"])

    def render(
        self,
        messages: Sequence[Said],
        names: Mapping[str, str],
        *,
        values: Mapping[str, Any] | None = None,
        answer: bool = True,
        longest: int = 1 << 20,
    ) -> Rendered:
        """The document. names: of special tokens, by what templates call them.

        values: other variables, JSON, of which no text is the template's own. answer: with the
        beginning of the assistant's next turn. longest: characters that it may have. Raises
        InputError where the template refuses the conversation, ModelError where it fails, writes
        more, takes too long or too much memory.
        """
        fields = self._parsed()["fields"]
        thought = next((each for each in _THOUGHTS if each in fields), "")
        asked = {
            "messages": [_as_json(each, thought) for each in messages],
            "names": dict(names),
            "set": dict(values or {}),
            "answer": answer,
            "longest": longest,
        }
        found = self._ask(asked, longest)
        return Rendered(found["text"], tuple(found["runs"]))

    def close(self) -> None:
        """End the process."""
        self._process.close()

    def _parsed(self) -> dict[str, list[str]]:
        """What the template asks for, once the worker has read it."""
        if not self._process.runs:
            # It was ended in the middle of a question: an interrupted chat goes on.
            self._process.restart()
            self._asks = None
        if self._asks is None:
            self._asks = self._ask({"template": self._source}, _NAMES // _BYTES)
        return self._asks

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


def _as_json(message: Said, thought: str) -> dict[str, Any]:
    runs: list[int] = []
    end = 0
    for start, stop in message.marks:
        runs += [start - end, stop - start]
        end = stop
    return {
        **({thought: message.thinking} if thought and message.thinking else {}),
        "role": message.role,
        "content": message.content,
        # Its own comes first, which here is nothing.
        "own": [0, *runs, len(message.content) - end],
    }
