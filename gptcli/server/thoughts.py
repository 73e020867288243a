"""What a model thinks before it answers, told apart from the answer: <think> … </think>."""

from __future__ import annotations

_OPEN, _CLOSE = "<think>", "</think>"


class Thoughts:
    """One answer as it grows, in two streams.

    A model that thinks begins its answer with it; the same words later are part of the answer.
    begun: the document that it continues has opened the thought already.
    """

    def __init__(self, *, begun: bool) -> None:
        self._state = "thinking" if begun else "before"
        self._held = ""

    def feed(self, text: str) -> tuple[str, str]:
        """What is certain to be thought, and to be said, now that this was written too."""
        self._held += text
        thought = said = ""
        if self._state == "before":
            begin = self._held.lstrip()
            if begin.startswith(_OPEN):
                self._held, self._state = begin.removeprefix(_OPEN), "opened"
            elif not _OPEN.startswith(begin):
                self._state = "saying"
        if self._state == "opened":
            self._held = self._held.lstrip("\n")
            if self._held:
                self._state = "thinking"
        if self._state == "thinking":
            thought, found, rest = self._held.partition(_CLOSE)
            kept = 0 if found else _overlap(thought, _CLOSE)
            self._held = rest if found else thought[len(thought) - kept :]
            thought = thought[: len(thought) - kept]
            if found:
                self._state = "after"
        if self._state == "after":
            self._held = self._held.lstrip("\n")
            if self._held:
                self._state = "saying"
        if self._state == "saying":
            said, self._held = self._held, ""
        return thought, said

    def finish(self) -> tuple[str, str]:
        """What was held back, now that nothing more comes."""
        held, self._held = self._held, ""
        return (held, "") if self._state == "thinking" else ("", held)


def _overlap(text: str, end: str) -> int:
    """How many characters at the end of the text may begin `end`."""
    return next((n for n in range(len(end) - 1, 0, -1) if text.endswith(end[:n])), 0)
