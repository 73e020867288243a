"""Answers in channels: what a model writes for itself, and what it says to the user.

gpt-oss writes its answer as messages, each with a header:

    <|channel|>analysis<|message|>…<|end|><|start|>assistant<|channel|>final<|message|>…<|return|>

Only the channel `final` is the answer; `analysis` is its thinking, `commentary` calls tools
(OpenAI's harmony response format). Names and headers are no part of any text.
"""

from __future__ import annotations

from typing import Literal

from gptcli.text.tokenizer import Tokenizer

_NAMES: dict[str, Literal["start", "channel", "message", "end"]] = {
    "<|start|>": "start",
    "<|channel|>": "channel",
    "<|message|>": "message",
    "<|end|>": "end",
}
_ANSWER = b"final"


class Channels:
    """The control tokens of a tokenizer whose model answers in channels."""

    def __init__(self, marks: dict[int, Literal["start", "channel", "message", "end"]]) -> None:
        self.marks = marks
        #: A message ends with these, an answer does not.
        self.within = frozenset(token for token, mark in marks.items() if mark == "end")

    @classmethod
    def of(cls, tokenizer: Tokenizer) -> Channels | None:
        """Those of a tokenizer, None where it lacks one of them: then answers are plain."""
        found = {name: tokenizer.id_of(name) for name in _NAMES}
        marks = {
            token: _NAMES[name]
            for name, token in found.items()
            if token is not None and tokenizer.is_special(token)
        }
        return cls(marks) if len(marks) == len(_NAMES) else None

    def opening(self, tokenizer: Tokenizer) -> tuple[int, ...]:
        """The tokens that an answer comes after: those of its header."""
        by_mark = {mark: token for token, mark in self.marks.items()}
        name = tokenizer.encode(_ANSWER.decode(), inside=True)
        return by_mark["channel"], *name, by_mark["message"]


class ChannelReader:
    """One answer, token by token: which of its bytes the user sees.

    Until the first control token everything is seen: a template may have begun the message.
    """

    def __init__(self, channels: Channels) -> None:
        self._marks = channels.marks
        self._header: bytearray | None = None
        self._seen = True
        #: Whether a message that is not for the user was begun, and none that is came after.
        self.withheld = False
        #: What the last token added to a message that is not for the user.
        self.thought = b""

    def feed(self, token: int, data: bytes) -> bytes:
        """What a token adds to the answer; `data` are its bytes, none for a control token."""
        self.thought = b""
        match self._marks.get(token):
            case "message":
                named = bytes(self._header or b"").split(maxsplit=1)[:1]
                self._seen = self._header is None or named == [_ANSWER]
                self._header = None
                self.withheld = not self._seen
            case "channel":
                self._header, self._seen = bytearray(), False
            case "start" | "end":
                # What follows is the name of who speaks, then the channel.
                self._header, self._seen = bytearray(), False
            case None:
                if self._header is not None:
                    self._header += data
                elif self._seen:
                    return data
                else:
                    self.thought = data
        return b""
