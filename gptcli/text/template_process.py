"""The other end of `template_worker`: a template that is asked for documents."""

from __future__ import annotations

from typing import Any

from gptcli.errors import InputError, ModelError
from gptcli.text.limited_process import LimitedProcess, Limits

_WORKER = "gptcli.text.template_worker"
#: Characters of a rendered document.
_LONGEST = 16 << 20
#: JSON spells a character in at most twelve bytes.
LIMITS = Limits(longest=12 * _LONGEST + 4096)


class TemplateProcess:
    """A template in a process of its own, which starts at once and gets ready by itself.

    subject: what to call the template in errors.
    """

    def __init__(self, source: str, subject: str, *, limits: Limits = LIMITS) -> None:
        self._source, self._subject = source, subject
        self._constants: tuple[str, ...] = ()
        self._parsed = False
        self._process = LimitedProcess(_WORKER, subject, limits)

    def constants(self) -> tuple[str, ...]:
        """The strings that the template's logic mentions. Raises ModelError for a broken one."""
        if not self._process.runs:
            # It was ended in the middle of a question: an interrupted chat goes on.
            self._process.restart()
            self._parsed = False
        if not self._parsed:
            self._constants = tuple(self._ask({"template": self._source})["constants"])
            self._parsed = True
        return self._constants

    def render(self, variables: dict[str, Any]) -> str:
        """The document. Raises InputError where the template refuses the conversation, ModelError
        where it fails, takes too long or too much memory.
        """
        self.constants()
        return str(self._ask({"render": variables})["text"])

    def close(self) -> None:
        """End the process."""
        self._process.close()

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        answer = self._process.ask(request)
        if "error" in answer:
            self._raise(answer["error"], answer["message"])
        return answer

    def _raise(self, kind: str, message: str) -> None:
        if kind == "refused":
            raise InputError("conversation", f"the model's chat template refuses it: {message}")
        if kind == "syntax":
            raise ModelError(self._subject, f"is no template: {message}")
        raise ModelError(self._subject, f"fails: {message}")
