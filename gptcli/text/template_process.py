"""The other end of `template_worker`: starts it, asks it, and ends it when it takes too long."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import weakref
from contextlib import suppress
from typing import Any

from gptcli.errors import InputError, ModelError
from gptcli.text.template_worker import LONGEST, MEMORY
from gptcli.units import size

#: Seconds that a template may take for one conversation.
PATIENCE = 5.0
#: Bytes of an answer: JSON spells a character in at most twelve.
_LONGEST_LINE = 12 * LONGEST + 4096
_CODE = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]);"
    " from gptcli.text.template_worker import main; main()"
)


class TemplateProcess:
    """A template in a process of its own, which starts at once and gets ready by itself.

    subject: what to call the template in errors.
    """

    def __init__(self, source: str, subject: str, *, patience: float = PATIENCE) -> None:
        self._source, self._subject = source, subject
        self._patience = patience
        self._constants: tuple[str, ...] = ()
        self._start()

    def _start(self) -> None:
        # In a session of its own, so that Ctrl-C in the terminal does not reach it.
        self._process = subprocess.Popen(
            [sys.executable, "-c", _CODE, json.dumps(sys.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
            start_new_session=True,
        )
        self._close = weakref.finalize(self, _end, self._process)
        self._parsed = False

    def constants(self) -> tuple[str, ...]:
        """The strings that the template's logic mentions. Raises ModelError for a broken one."""
        if not self._close.alive:
            # It was ended in the middle of a question: an interrupted chat goes on.
            self._start()
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
        self._close()

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        answers: list[str] = []
        talker = threading.Thread(target=self._exchange, args=(request, answers), daemon=True)
        talker.start()
        try:
            talker.join(self._patience)
        except BaseException:
            # Interrupted: an answer that comes later would be taken for that to another question.
            self.close()
            raise
        if talker.is_alive():
            self.close()
            talker.join()
            raise ModelError(self._subject, f"takes more than {self._patience:g} s")
        if not (answers and answers[0].endswith("\n")):
            # The system ended it, or its answer is without end.
            self.close()
            raise ModelError(self._subject, f"takes more than {size(MEMORY)} of memory")
        answer: dict[str, Any] = json.loads(answers[0])
        if "error" in answer:
            self._raise(answer["error"], answer["message"])
        return answer

    def _exchange(self, request: dict[str, Any], answers: list[str]) -> None:
        stdin, stdout = self._process.stdin, self._process.stdout
        # A process that was ended has closed pipes, which say so in these ways.
        with suppress(OSError, ValueError):
            assert stdin is not None and stdout is not None
            stdin.write(json.dumps(request) + "\n")
            stdin.flush()
            answers.append(stdout.readline(_LONGEST_LINE))

    def _raise(self, kind: str, message: str) -> None:
        if kind == "refused":
            raise InputError("conversation", f"the model's chat template refuses it: {message}")
        if kind == "memory":
            raise ModelError(self._subject, "takes too much memory, or writes without end")
        if kind == "syntax":
            raise ModelError(self._subject, f"is no template: {message}")
        raise ModelError(self._subject, f"fails: {message}")


def _end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        with suppress(OSError):
            if pipe is not None:
                pipe.close()
