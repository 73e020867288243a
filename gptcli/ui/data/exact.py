"""A token's text for programs."""

from __future__ import annotations

from gptcli.types.token import Token
from gptcli.ui.terminal.visible import visible


def exact(token: Token) -> str:
    """The text of a token; where its bytes are no whole characters, as it is made visible."""
    try:
        return token.bytes.decode()
    except UnicodeDecodeError:
        return visible(token.bytes)
