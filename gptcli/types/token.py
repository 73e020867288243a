"""What every answer is made of: tokens, and where the numbers come from."""

from __future__ import annotations

from gptcli.plain import dataclass


@dataclass(frozen=True)
class Token:
    """A token: its id, its exact bytes, and whether it is a control token.

    id: None where a server does not tell it; bytes then are those of what it calls the token.
    """

    id: int | None
    bytes: bytes
    special: bool = False

    @property
    def text(self) -> str:
        """The bytes as text, U+FFFD where they are no whole character."""
        return self.bytes.decode(errors="replace")


@dataclass(frozen=True)
class Source:
    """Which model computed the numbers, on what, in which precision, with which adapters, steered
    by which control vectors, each named as given.

    activations: what they are rounded to where they meet the weights, kv_dtype: what keys and
    values are kept in, None where dtype says it. server: which one computed them, where it was not
    this machine: device is "remote" then, and dtype None, since nobody says it.
    """

    model: str
    device: str
    dtype: str | None
    adapters: tuple[str, ...] = ()
    activations: str | None = None
    server: str | None = None
    steering: tuple[str, ...] = ()
    kv_dtype: str | None = None
