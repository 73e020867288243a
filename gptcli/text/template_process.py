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
#: What is said to see whether a template writes texts down that are no lists.
_PROBE = "probe"


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
        #: See `template_worker`; None before it has read the template.
        self._asks: dict[str, list[str]] | None = None
        self._lists: bool | None = None
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
        fields, kinds = self._parsed()["fields"], self._parsed()["kinds"]
        thought = next((each for each in _THOUGHTS if each in fields), "")
        # A kind of a part of what is said, and no field of a message.
        apart = thought == "thinking" and thought in kinds and "type" in fields
        lists = self._takes_lists(names)
        asked = {
            "messages": [
                _as_json(each, thought, lists or (apart and bool(each.thinking)), apart)
                for each in messages
            ],
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

    def _takes_lists(self, names: Mapping[str, str]) -> bool:
        """Whether the template writes down what a message has in a list of parts, and no text."""
        found = self._parsed()
        if "text" not in found["kinds"] or "string" in found["tests"]:
            return False
        if self._lists is None:
            self._lists = not self._writes(names, False) and self._writes(names, True)
        return self._lists

    def _writes(self, names: Mapping[str, str], listed: bool) -> bool:
        asked = {"names": dict(names), "set": {}, "answer": False, "longest": 1 << 20}
        said = _as_json(Said("user", _PROBE), "", listed)
        try:
            return _PROBE in self._ask({"messages": [said], **asked}, 1 << 20)["text"]
        except (InputError, ModelError):
            return False

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


def _as_json(
    message: Said, thought: str, listed: bool = False, apart: bool = False
) -> dict[str, Any]:
    """thought: what a thought is called, listed: in parts, apart: of which a thought is one."""
    runs: list[int] = []
    end = 0
    for start, stop in message.marks:
        runs += [start - end, stop - start]
        end = stop
    return {
        **({thought: message.thinking} if thought and message.thinking else {}),
        "role": message.role,
        "content": message.content,
        **({"parts": [thought] if apart and message.thinking else []} if listed else {}),
        # Its own comes first, which here is nothing.
        "own": [0, *runs, len(message.content) - end],
    }
