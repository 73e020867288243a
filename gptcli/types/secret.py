"""A key: carried about without ever being shown."""

from __future__ import annotations

from pathlib import Path

from gptcli.errors import InputError

#: More than any file with a key holds, in bytes.
KEY_FILE_LIMIT = 1 << 16
#: Longer ones are no keys, and neither is what a header could not carry.
_LONGEST = 8192


class Secret:
    """A key. Whatever prints, compares or copies values never shows its text."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        """Raises ValueError, without the text, for what can be no key."""
        if not text:
            raise ValueError("holds no key")
        if len(text) > _LONGEST or not all("!" <= character <= "~" for character in text):
            raise ValueError("holds no key: that is one word of plain letters, digits and signs")
        self._text = text

    @classmethod
    def of(cls, data: bytes, subject: str) -> Secret:
        """The key on the first line of what a file holds.

        Raises InputError, which names `subject` and never shows what is there.
        """
        try:
            if len(data) > KEY_FILE_LIMIT:
                raise ValueError("holds no key: it is too long")
            return cls(data.partition(b"\n")[0].decode("ascii").strip())
        except UnicodeDecodeError:
            raise InputError(subject, "holds no key: it is no plain text") from None
        except ValueError as error:
            raise InputError(subject, str(error)) from None

    @classmethod
    def read(cls, path: Path) -> Secret:
        """The same of a file."""
        try:
            with path.expanduser().open("rb") as file:
                data = file.read(KEY_FILE_LIMIT + 1)
        except OSError as error:
            raise InputError(str(path), error.strerror or str(error)) from None
        except RuntimeError:
            raise InputError(str(path), "there is no such home directory") from None
        return cls.of(data, str(path))

    def __repr__(self) -> str:
        return "Secret(…)"

    def reveal(self) -> str:
        """The text, for the one place that sends it."""
        return self._text

    def hidden_in(self, text: str) -> str:
        """The text with this key replaced, wherever a server may have repeated it."""
        return text.replace(self._text, "(the key)")
