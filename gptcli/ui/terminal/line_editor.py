"""The input line of a chat, by prompt_toolkit: history, several lines, completion of commands."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from gptcli.errors import UsageError
from gptcli.ui.terminal.toolkit import toolkit_streams
from gptcli.ui.terminal.visible import plainly

if TYPE_CHECKING:
    from prompt_toolkit.completion import Completer
    from prompt_toolkit.history import History
    from prompt_toolkit.key_binding import KeyBindings


class LineEditor:
    """Lines of a person at a terminal.

    history: a file of earlier messages, for its owner's eyes alone; None, or one that cannot be
    written, keeps them for this run only. commands: what may follow a slash, with a word of help.
    arguments: what may follow a command. Raises UsageError where the streams are no terminal.
    """

    def __init__(
        self,
        stdin: TextIO,
        stdout: TextIO,
        history: Path | None,
        commands: Mapping[str, str],
        arguments: Callable[[str], Sequence[str]],
    ) -> None:
        from prompt_toolkit import PromptSession

        typed, shown = toolkit_streams(stdin, stdout)
        self._session: Any = PromptSession(
            history=_history(history),
            completer=_completer(commands, arguments),
            complete_while_typing=False,
            key_bindings=_keys(),
            prompt_continuation="… ",
            enable_open_in_editor=False,
            enable_suspend=True,
            input=typed,
            output=shown,
        )

    def read(self, prompt: str = "> ") -> str:
        """A line, or several by Alt-Enter. Raises EOFError for Ctrl-D, KeyboardInterrupt."""
        text: str = self._session.prompt(prompt, multiline=False)
        return text

    def edit(self, text: str) -> str:
        """The text as the person's editor leaves it. Raises UsageError where that fails."""
        import tempfile

        from gptcli.ui.terminal import editor

        with tempfile.TemporaryDirectory() as place:
            path = Path(place) / "message.txt"
            path.write_text(text, encoding="utf-8")
            editor.edit(path, os.environ, "/edit")
            try:
                return path.read_text(encoding="utf-8").removesuffix("\n")
            except (OSError, ValueError) as error:
                raise UsageError("/edit", f"the editor left no text: {error}") from None


def _history(path: Path | None) -> History:
    from prompt_toolkit.history import FileHistory, InMemoryHistory

    # To open a pipe waits for a reader.
    if path is None or (path.exists() and not path.is_file()):
        return InMemoryHistory()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.close(descriptor)
        path.chmod(0o600)
    except OSError:
        return InMemoryHistory()
    return FileHistory(str(path))


def _completer(commands: Mapping[str, str], arguments: Callable[[str], Sequence[str]]) -> Completer:
    from prompt_toolkit.completion import CompleteEvent, Completer, Completion
    from prompt_toolkit.document import Document

    class Commands(Completer):
        def get_completions(
            self, document: Document, _event: CompleteEvent
        ) -> Iterable[Completion]:
            text = document.text_before_cursor
            if not text.startswith("/"):
                return
            name, space, rest = text[1:].partition(" ")
            if not space:
                for known, meaning in commands.items():
                    if known.startswith(name):
                        yield Completion(known, start_position=-len(name), display_meta=meaning)
            elif " " not in rest:
                for word in arguments(name):
                    if word.startswith(rest):
                        shown = plainly(word)
                        yield Completion(word, start_position=-len(rest), display=shown)

    return Commands()


def _keys() -> KeyBindings:
    from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent

    keys = KeyBindings()

    @keys.add("escape", "enter")
    def _(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text("\n")

    return keys
