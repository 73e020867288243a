"""How far a text goes on."""

from __future__ import annotations

from gptcli.config import MOST, Limit, option
from gptcli.plain import dataclass

#: Where nothing says how many tokens to generate at most: of a text, of an answer in a chat.
DEFAULT_NEW_TOKENS = 256
DEFAULT_ANSWER_TOKENS = 1024


def _stop(text: str) -> str:
    # An empty one would end every text.
    if not text:
        raise ValueError("must not be empty")
    return text


@dataclass(frozen=True)
class Generation:
    """Where a text that the model writes ends."""

    max_new_tokens: int | None = option(
        None,
        "Generate at most N tokens; -1 goes on until the model ends or the context is full."
        f" Default: {DEFAULT_NEW_TOKENS}, in a chat {DEFAULT_ANSWER_TOKENS}.",
        *("-n", "--max-new-tokens", "--n-predict", "--max-tokens"),
        metavar="N",
        brief="Generate at most N tokens.",
        limit=Limit(-1, MOST),
        setting=True,
    )
    stop: tuple[str, ...] = option(
        (),
        "End before this text, which is not printed. Repeatable.",
        metavar="TEXT",
        brief="End before this text.",
        parse=_stop,
    )

    def new_tokens(self, default: int) -> int | None:
        """The most tokens to generate; None, which -1 asks for, for as many as there is room."""
        limit = default if self.max_new_tokens is None else self.max_new_tokens
        return None if limit < 0 else limit
