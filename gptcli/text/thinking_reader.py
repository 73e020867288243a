"""An answer as it is drawn, token by token: what of it is thought, and what is said."""

from __future__ import annotations

from gptcli.text.stop import overlap
from gptcli.text.thinking_forms import Stage, ThinkingForm


class ThinkingReader:
    """Tells the bytes of a text apart, in the form that its model has.

    White space around a thought is no part of it, nor are lines without a word before an answer
    that comes behind one. After each `feed`, `thought` and `said` are what has become certain.
    """

    def __init__(self, form: ThinkingForm, stage: Stage = "before") -> None:
        self._form = form
        self._stage: Stage = stage
        self._opening, self._closing = form.opening.encode(), form.closing.encode()
        before, behind = form.wrap or ("", "")
        self._wrap, self._behind = before.encode(), behind.encode()
        self._unwrap = b""  # what the answer ends before, once that has begun
        self._unwrapped = False
        self._borders = dict(form.borders)
        self._header: bytearray | None = None
        self._footer = False  # the header is one
        #: What may still become a mark, or white space that leads to nothing.
        self._held = b""
        self._begun = self._told = False  # this thought has a word, and any has
        self._named = form.name.encode()
        self._name: bytes | None = None  # what has come of the name behind the opening mark
        self.thought = self.said = b""

    @property
    def stage(self) -> Stage:
        """Where the text ends; a thought goes on up to the header of what is said."""
        return self._stage

    @property
    def inside(self) -> bool:
        """Whether what comes next is thought, and no header or name."""
        return self._stage == "thinking" and self._header is None and self._name is None

    def feed(self, token: int, data: bytes) -> None:
        """Take a token; `data` are its bytes, none of a control token."""
        self.thought = self.said = b""
        if self._borders:
            self._message(token, data)
        elif self._form.opening_id is None:
            self._read(data)
        elif token == self._form.opening_id and self._opens():
            self._open()
        elif token == self._form.closing_id and self._stage in ("before", "thinking"):
            self._close()
        else:
            self._take(data)

    def finish(self) -> None:
        """What was held back, now that nothing more comes."""
        self.thought = self.said = b""
        held, self._held = self._held, b""
        if self._stage == "thinking":
            self._think((b"" if self._name is None else self._unnamed()) + held)
            self._held = b""
        else:
            self.said += held.lstrip() if self._stage == "after" or self._unwrapped else held

    def _message(self, token: int, data: bytes) -> None:
        """A token of messages with headers."""
        border = self._borders.get(token)
        if border == "message" and self._footer:
            # A thought is over with the header of what is said; until then nothing is.
            self._header, self._footer, self._held = bytearray(), False, b""
        elif border in ("message", "think", "say"):
            named = bytes(self._header or b"").split(maxsplit=1)[:1]
            said = self._header is None or named == [self._form.answer.encode()]
            said = border == "say" or (border == "message" and said)
            self._stage, self._header = "saying" if said else "thinking", None
            self._held, self._begun = b"", False
        elif border is not None:
            # What follows is the name of who speaks, then the channel.
            self._header, self._footer = bytearray(), border == "close"
        elif self._header is not None:
            self._header += data
        elif self._stage == "thinking":
            self._think(self._held + data)
        else:
            # A template may have begun the message.
            self.said += data

    def _opens(self) -> bool:
        """Whether an opening token does so here, and is no text."""
        return self._stage == "before" or (self._form.control and self._stage != "thinking")

    def _open(self) -> None:
        if self._stage == "saying":
            self.said += self._held
        self._held, self._stage, self._begun = b"", "thinking", False
        self._name = b"" if self._named else None

    def _close(self) -> None:
        if self._name is not None:
            self._think(self._unnamed())
        self._held, self._stage = b"", "after"

    def _read(self, data: bytes) -> None:
        """Bytes among which the marks are."""
        self._held += data
        if self._stage == "before":
            begin = self._held.lstrip()
            if begin.startswith(self._opening):
                self._open()
                self._held = begin[len(self._opening) :]
            elif not self._opening.startswith(begin):
                self._stage = "saying"
        text, self._held = self._held, b""
        if self._stage == "before":
            self._held = text
        elif self._stage == "thinking":
            thought, found, rest = text.partition(self._closing)
            kept = 0 if found else overlap(thought, self._closing)
            blank = len(thought) - kept
            self._think(thought[:blank])
            if found:
                self._close()
                self._take(rest)
            else:
                self._held += thought[blank:]
        else:
            self._take(text)

    def _take(self, data: bytes) -> None:
        """Bytes without marks of thoughts."""
        if self._stage == "thinking":
            self._think(self._held + data)
        elif self._stage == "before":
            self._held += data
            if self._held.strip():
                self._stage = "saying"
                self._take(b"")
        elif self._stage == "after":
            self._begin(self._held + data)
        else:
            self._say(self._held + data)

    def _think(self, text: bytes) -> None:
        """More of a thought; the white space that it ends with is held back."""
        if self._name is not None:
            self._name += text
            line, found, _ = self._name.partition(b"\n")
            if not found and self._named.startswith(line.strip()[: len(self._named)]):
                self._held = b""
                return
            text = self._unnamed()
        text = text if self._begun else text.lstrip()
        word = text.rstrip()
        self._held = text[len(word) :]
        if word and not self._begun:
            self.thought += b"\n\n" if self._told else b""
            self._begun = self._told = True
        self.thought += word

    def _unnamed(self) -> bytes:
        """What is there of a thought without the name that it begins with."""
        text, self._name = self._name or b"", None
        line, _, rest = text.partition(b"\n")
        return rest if line.strip() == self._named else text

    def _begin(self, text: bytes) -> None:
        """What comes behind a thought: the answer begins at its first word."""
        self._held = text
        words = text.lstrip()
        if not words or (len(words) < len(self._wrap) and self._wrap.startswith(words)):
            return
        if self._wrap and words.startswith(self._wrap):
            text = words[len(self._wrap) :]
            words = text.lstrip()
            # Once, and not again.
            self._wrap, self._unwrap = b"", self._behind
            if not words:
                self._held = text
                return
        if self._form.wrap is not None and not self._form.wrap[0]:
            self._unwrap = self._behind
        blank = text[: len(text) - len(words)]
        _, line, indent = blank.rpartition(b"\n")
        self._held, self._stage = b"", "saying"
        self._say((indent if line else b"") + words)

    def _say(self, text: bytes) -> None:
        """More of the answer, in which only the end of what is around it is no part of it."""
        self._held = b""
        said, found, rest = text.partition(self._unwrap) if self._unwrap else (text, b"", b"")
        if found:
            self._unwrap, self._unwrapped = b"", True
            self.said += said.rstrip()
            text = rest
        if not self._unwrap:
            if self._unwrapped and not text.strip():
                self._held = text
            else:
                self.said += text
            return
        at = len(said) - overlap(said, self._unwrap)
        at = len(said[:at].rstrip())
        self.said += said[:at]
        self._held = said[at:]
