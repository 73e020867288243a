"""`gptcli chat` on a terminal: lines in, answers out, until Ctrl-D."""

from __future__ import annotations

from collections.abc import Callable

from gptcli import signals
from gptcli.chat.talk import Talk
from gptcli.cli.environment import Environment
from gptcli.cli.repl.attached import Attached
from gptcli.cli.repl.commands import Commands, LeaveError
from gptcli.cli.repl.lines import Lines
from gptcli.cli.repl.switching import Switching
from gptcli.errors import GptcliError
from gptcli.ui.terminal.messages import Messages
from gptcli.ui.views.completion import OnTerminal, chunks
from gptcli.ui.views.thinking import ThinkingView
from gptcli.units import counted

#: Three quotes begin a message of several lines, and end it.
_QUOTES = '"""'


class Repl:
    """Reads, answers, and stays when something goes wrong."""

    def __init__(
        self,
        environment: Environment,
        talk: Talk,
        lines: Lines,
        messages: Messages,
        thoughts: ThinkingView,
        *,
        around: Callable[[str], str] = str,
        switching: Switching | None = None,
        stats: Callable[[], list[str]] | None = None,
    ) -> None:
        """around: makes a message of what was typed; switching: opens other models; stats: the
        lines to show after an answer.
        """
        self._environment, self._talk, self._lines = environment, talk, lines
        self._messages, self._thoughts, self._stats = messages, thoughts, stats
        self._around, self._attached = around, Attached()
        self._commands = Commands(
            environment, talk, lines, messages, thoughts, self._attached, switching, say=self.say
        )

    def run(self) -> None:
        """Until the person leaves. Errors are told, and the chat goes on."""
        with signals.answered():
            self._run()

    def _run(self) -> None:
        while True:
            try:
                line = self._lines.read()
                quoted = line.startswith(_QUOTES)
                if quoted:
                    line = self._quoted(line.removeprefix(_QUOTES))
            except KeyboardInterrupt:
                self._messages.info("Ctrl-D or /exit leaves")
                continue
            except EOFError:
                return
            try:
                self._take(line, quoted=quoted)
            except LeaveError:
                return
            except KeyboardInterrupt:
                # What was under way is stopped; the terminal shows ^C where that was.
                self._messages.end_line()
            except GptcliError as error:
                self._messages.error(str(error))

    def say(self, text: str) -> None:
        """Send a message and show the answer; Ctrl-C ends the answer, and what came of it stays."""
        view = OnTerminal(self._environment.terminal(), samples=1, echo="")
        try:
            events = chunks(self._talk.ask(text), self._messages)
            view.show(self._thoughts.beside(events))
        except KeyboardInterrupt:
            self._messages.info("stopped")
            return
        self._after()

    def _quoted(self, text: str) -> str:
        """The message that begins with this, up to the quotes that end it."""
        while not text.rstrip().endswith(_QUOTES):
            text += "\n" + self._lines.read("… ")
        return text.rstrip().removesuffix(_QUOTES).removeprefix("\n").removesuffix("\n")

    def _take(self, line: str, *, quoted: bool) -> None:
        if not line.strip():
            return
        if line.startswith("/") and not quoted:
            name, _, rest = line[1:].partition(" ")
            self._commands.run(name, rest.strip())
        else:
            message = self._around(self._attached.before(line))
            self.say(message)
            self._attached.sent(self._talk, message)

    def _after(self) -> None:
        usage = self._talk.last_usage
        if usage is not None and self._talk.was_cut:
            self._messages.hint(
                f"answer: cut off after {counted(usage.completion_tokens, 'token')};"
                " /set max-new-tokens allows more"
            )
        self._messages.report(self._stats() if self._stats is not None else ())
