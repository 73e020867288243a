"""Files that `/file` of a chat puts before the next message."""

from __future__ import annotations

import stat
from collections.abc import Sequence
from pathlib import Path

from gptcli.chat.talk import Talk
from gptcli.errors import InputError, not_utf8
from gptcli.ui.terminal.visible import plainly
from gptcli.units import counted

#: Bytes of one file: more than contexts hold.
_LARGEST = 16 << 20
#: How many names are offered for completion.
_OFFERED = 200


class Attached:
    """The texts that wait for a message."""

    def __init__(self) -> None:
        self._files: list[tuple[str, str]] = []

    def add(self, name: str) -> str:
        """Read a file for the next message; how things stand then, for the person.

        Raises InputError for what is no file of text, or a large one.
        """
        self._files.append((name, _read(name)))
        return self.state()

    def state(self) -> str:
        """What waits."""
        if not self._files:
            return "no file waits for the next message; /file NAME reads one"
        names = ", ".join(plainly(name) for name, _ in self._files)
        size = sum(len(text) for _, text in self._files)
        return f"before the next message: {names} ({counted(size, 'character')})"

    def before(self, message: str) -> str:
        """A message with what waits before it, each file on lines of its own."""
        return "\n".join([*(text for _, text in self._files), message])

    def sent(self, talk: Talk, message: str) -> None:
        """Let go of the files, if the message that has them was kept."""
        if any(each.role == "user" and each.content == message for each in talk.messages[-2:]):
            self.clear()

    def clear(self) -> None:
        """Forget what waits."""
        self._files.clear()


def _read(name: str) -> str:
    try:
        path = Path(name).expanduser()
        # A pipe would be waited for.
        if not stat.S_ISREG(path.stat().st_mode):
            raise InputError(name, "is not a file")
        with path.open("rb") as file:
            data = file.read(_LARGEST + 1)
    except (OSError, RuntimeError, ValueError) as error:
        raise InputError(name, getattr(error, "strerror", None) or str(error)) from None
    if len(data) > _LARGEST:
        raise InputError(name, f"is larger than {_LARGEST >> 20} MiB")
    if b"\0" in data:
        raise InputError(name, "is binary: it holds NUL bytes")
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise InputError(name, not_utf8(error)) from None
    return text.removeprefix("\ufeff").removesuffix("\n").removesuffix("\r")


def offered() -> Sequence[str]:
    """Files of the working directory, for completion."""
    try:
        names = sorted(each.name for each in Path().iterdir() if each.is_file())
    except OSError:
        return ()
    return [name for name in names if not name.startswith(".")][:_OFFERED]
