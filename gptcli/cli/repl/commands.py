"""What a line that begins with a slash does in a chat."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence

from gptcli.chat import sessions
from gptcli.chat.talk import Talk
from gptcli.cli.environment import Environment
from gptcli.cli.flags.completers import complete_model
from gptcli.cli.repl import attached, saving, thinking
from gptcli.cli.repl import settings as repl_settings
from gptcli.cli.repl.attached import Attached
from gptcli.cli.repl.lines import Lines
from gptcli.cli.repl.switching import Switching
from gptcli.errors import UsageError
from gptcli.types.chat import Message
from gptcli.ui.terminal.messages import Messages
from gptcli.ui.views import chat_document as document_view
from gptcli.ui.views import next_tokens, stats
from gptcli.ui.views import sessions as session_view
from gptcli.ui.views.printing import pairs
from gptcli.ui.views.thinking import ThinkingView

#: name → what it does, for /help and for completion.
COMMANDS: dict[str, str] = {
    "help": "what can be typed here",
    "exit": "leave (also Ctrl-D)",
    "clear": "forget what was said; the system prompt stays",
    "undo": "take back the last message and its answer",
    "regen": "draw another answer to the last message",
    "edit": "change the last message in an editor, and send it again",
    "system": "show the system prompt; /system TEXT replaces it, /set system removes it",
    "set": "/set NAME VALUE changes a setting; /set alone lists them",
    "file": "/file NAME: the text of a file goes before the next message",
    "model": "/model NAME: another model goes on with the conversation",
    "steer": "/steer FILE[=SCALE][@FROM:TO]: a control vector; + FILE adds one; off: none",
    "think": "on, off or auto; low, medium or high; show or hide what is thought",
    "show": "the conversation; /show prompt: the exact document; /show settings",
    "save": "/save FILE.json, /save FILE.md or /save NAME (a session); replaces nothing else",
    "load": "/load FILE.json, /load FILE.md or /load NAME, a session that then goes on here",
    "stats": "tokens and seconds of the last answer",
    "top": "what may come at the end, with probabilities; /top 20 for more",
}
_ALIASES = {"quit": "exit", "bye": "exit", "?": "help"}
SHOWS = ("messages", "prompt", "settings", "system")
_ROWS = 10


class LeaveError(Exception):
    """The person wants to leave."""


class Commands:
    """The commands of one chat; `say` sends a message and shows the answer."""

    def __init__(
        self,
        environment: Environment,
        talk: Talk,
        lines: Lines,
        messages: Messages,
        thoughts: ThinkingView,
        attached: Attached,
        switching: Switching | None,
        *,
        say: Callable[[str], None],
    ) -> None:
        self._stdout, self._thoughts = environment.stdout, thoughts
        self._attached, self._switching = attached, switching
        self._talk, self._lines, self._messages, self._say = talk, lines, messages, say

    def run(self, name: str, rest: str) -> None:
        """Do what a command says. Raises UsageError for one that there is not, LeaveError."""
        name = _ALIASES.get(name, name)
        if name not in COMMANDS:
            near = difflib.get_close_matches(name, COMMANDS, n=1)
            hint = f"did you mean /{near[0]}?" if near else "/help lists them"
            hint += "; after a space it is a message"
            raise UsageError(f"/{name}", "there is no such command", hint)
        getattr(self, f"_{name}")(rest)

    def _help(self, _rest: str) -> None:
        rows = [(f"/{name}", text) for name, text in COMMANDS.items()]
        rows += [
            ('"""', "begins and ends a message of several lines; Alt-Enter breaks a line"),
            ("Ctrl-C", "stops an answer"),
        ]
        pairs(self._stdout, rows)

    def _exit(self, _rest: str) -> None:
        raise LeaveError

    def _clear(self, _rest: str) -> None:
        self._talk.replace_messages(m for m in self._talk.messages if m.role == "system")
        self._attached.clear()
        self._messages.info("forgotten")

    def _undo(self, _rest: str) -> None:
        self._messages.info(f"taken back: {self._talk.undo()}")

    def _regen(self, _rest: str) -> None:
        self._again(lambda: self._talk.undo(keep=False))

    def _edit(self, _rest: str) -> None:
        # Edited before anything is taken back: an editor that fails changes nothing.
        text = self._lines.edit(self._last_message())
        if not text.strip():
            raise UsageError("/edit", "the message is empty, so nothing was changed")

        def undo() -> str:
            self._talk.undo(keep=False)
            return text

        self._again(undo)

    def _again(self, undo: Callable[[], str]) -> None:
        """Take the last message back and send one again; where that fails, all is as it was."""
        before = self._talk.messages
        text = undo()
        try:
            self._say(text)
        except BaseException:
            self._talk.replace_messages(before)
            raise
        if len(self._talk.messages) < len(before):
            # Stopped before a word came.
            self._talk.replace_messages(before)

    def _last_message(self) -> str:
        users = [message.content for message in self._talk.messages if message.role == "user"]
        if not users:
            raise UsageError("/edit", "there is no message yet")
        return users[-1]

    def _system(self, rest: str) -> None:
        if rest:
            self._replace_system(rest)
        elif self._talk.system is None:
            self._messages.info("no system prompt is set; the model's template may bring its own")
        else:
            session_view.show_messages([Message("system", self._talk.system)], self._stdout)

    def _replace_system(self, text: str) -> None:
        self._talk.set_system(text or None)
        self._messages.info("the system prompt is " + ("replaced" if text else "removed"))

    def _set(self, rest: str) -> None:
        name, _, value = rest.partition(" ")
        if not name:
            self._show("settings")
            return
        if name == "system":
            self._replace_system(value.strip())
            return
        value = value.strip()
        repl_settings.change(self._talk, name, value)
        self._messages.info(f"{name}: {value}")

    def _think(self, rest: str) -> None:
        self._messages.info(thinking.change(self._talk, self._thoughts, rest))

    def _show(self, rest: str) -> None:
        if rest in ("", "messages"):
            session_view.show_messages(self._talk.messages, self._stdout)
        elif rest == "prompt":
            document_view.show(self._talk.document(), self._stdout)
        elif rest == "system":
            self._system("")
        elif rest == "settings":
            pairs(self._stdout, repl_settings.rows(self._talk))
        else:
            raise UsageError(f"/show {rest}", f"is none of {', '.join(SHOWS)}")

    def _save(self, rest: str) -> None:
        saving.save(self._talk, self._messages, rest)

    def _load(self, rest: str) -> None:
        saving.load(self._talk, self._messages, rest)

    def _file(self, rest: str) -> None:
        self._messages.info(self._attached.add(rest) if rest else self._attached.state())

    def _model(self, rest: str) -> None:
        if not rest:
            self._messages.info(f"{self._talk.model}; /model NAME goes on with another one")
        elif self._switching is None:
            raise UsageError("/model", "there is but one here")
        else:
            self._messages.info(self._switching.change(self._talk, rest))

    def _steer(self, rest: str) -> None:
        if self._switching is None:
            raise UsageError("/steer", "there is nothing here to steer")
        self._messages.info(self._switching.steer(self._talk, rest))

    def _stats(self, _rest: str) -> None:
        usage = self._talk.last_usage
        if usage is None:
            raise UsageError("/stats", "there was no answer yet, or the last one was stopped")
        self._messages.report(stats.lines(usage, None))

    def _top(self, rest: str) -> None:
        if rest and not (rest.isascii() and rest.isdecimal() and 0 < int(rest[:9]) <= 1000):
            raise UsageError(f"/top {rest}", "must be a number from 1 to 1000")
        next_tokens.show(self._stdout, self._talk.top(int(rest[:9]) if rest else _ROWS))


def arguments_of(name: str) -> Sequence[str]:
    """What may follow a command, for completion."""
    if name in ("load", "save"):
        return sessions.names()
    if name == "file":
        return attached.offered()
    if name == "model":
        return complete_model("")
    settings = (*repl_settings.SETTINGS, "system")
    return {"set": settings, "show": SHOWS, "think": thinking.WORDS}.get(name, ())
