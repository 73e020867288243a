"""How is a text cut into tokens?"""

from __future__ import annotations

from collections.abc import Mapping

from gptcli.plain import dataclass
from gptcli.types.events import Notice
from gptcli.types.question import Question
from gptcli.types.token import Token


@dataclass(frozen=True)
class TokensRequest(Question["Tokens"]):
    """A text to be cut; special: names of control tokens in it become these. No weights needed.

    begun: with what the model expects before every text (a BOS token).
    """

    asks = "cut a text into tokens"

    text: str
    special: bool = False
    begun: bool = False


@dataclass(frozen=True)
class DecodeRequest(Question["Tokens"]):
    """Ids to be put together to a text; `subject` is what an error calls them."""

    asks = "cut a text into tokens"

    ids: tuple[int, ...]
    subject: str = "ids"


@dataclass(frozen=True)
class Tokens:
    """A text's tokens: ids in order, and what each id that occurs stands for.

    data: the text. Its tokens may have another byte at their beginning: a space that nobody wrote,
    which some tokenizers put before every text.
    """

    model: str
    ids: tuple[int, ...]
    known: Mapping[int, Token]
    data: bytes
    notices: tuple[Notice, ...] = ()

    @property
    def characters(self) -> int:
        """How many characters the text has."""
        return len(self.data.decode(errors="replace"))

    @property
    def bytes(self) -> int:
        """How many bytes the text has."""
        return len(self.data)
