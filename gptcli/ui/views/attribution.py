"""Which token wrote what: the text of a completion, and of its prompt, in pieces with tokens."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence

from gptcli.types.completion import Chunk, PromptToken, TokenInfo
from gptcli.ui.views.measures import Seen
from gptcli.ui.views.whole import Whole

#: A piece of the text, and the tokens that it is of: none where that is not known.
Piece = tuple[str, tuple[Seen, ...]]


class Attribution:
    """One completion as it comes. The pieces together are its text, to the character.

    A token may wait for those that share a character with it, and a text for its token.
    """

    def __init__(self) -> None:
        self._whole = Whole[TokenInfo]()
        self._pieces: deque[tuple[str, tuple[TokenInfo, ...]]] = deque()
        self._text = ""

    def feed(self, chunk: Chunk) -> Iterator[Piece]:
        """What is certain now."""
        for token in chunk.tokens:
            data = token.bytes if token.said is None else token.said
            if data:
                self._hold(self._whole.feed(data, token))
        self._text += chunk.text
        if chunk.finish_reason:
            self._hold(self._whole.finish())
        yield from self._certain()
        # A server may send its texts without tokens, or none for some of them.
        if self._text and (chunk.finish_reason or not (self._pieces or self._whole.held)):
            cut = bool(self._pieces) and self._pieces[0][0].startswith(self._text)
            yield self._text, self._pieces[0][1] if cut else ()
            self._text = ""

    def _hold(self, found: Iterator[tuple[bytes, tuple[TokenInfo, ...]]]) -> None:
        self._pieces += [(data.decode(errors="replace"), tokens) for data, tokens in found]

    def _certain(self) -> Iterator[Piece]:
        while self._pieces and self._text:
            text, tokens = self._pieces[0]
            if self._text.startswith(text):
                self._pieces.popleft()
                self._text = self._text[len(text) :]
                yield text, tokens
            elif text.startswith(self._text):
                return
            else:
                # What the tokens spell is another text: theirs is not to be told apart.
                self._pieces.clear()
                yield self._text, ()
                self._text = ""


def of_prompt(prompt: str, tokens: Sequence[PromptToken]) -> Iterator[Piece]:
    """A prompt in pieces, which together are the prompt.

    What its tokens spell may begin with more (a BOS token, a space that nobody wrote), end before
    it (where the rest is drawn anew) or after it (with what follows in the middle).
    """
    wanted, data = prompt.encode(), b"".join(token.bytes for token in tokens)
    begin = data.find(wanted)
    if begin < 0:
        ends = (at for at in range(len(data)) if wanted.startswith(data[at:]))
        begin = next(ends, len(data))
    whole, at = Whole[PromptToken](), 0
    shown = b""
    for token in tokens:
        first, last = at, at + len(token.bytes)
        at = last
        own = token.bytes[max(begin - first, 0) : max(begin + len(wanted) - first, 0)]
        if own:
            for each, group in whole.feed(own, token):
                shown += each
                yield each.decode(errors="replace"), group
    # Tokens that end within a character leave it to the text that is drawn anew.
    rest = wanted[len(shown) :].decode(errors="replace")
    if rest:
        yield rest, ()
