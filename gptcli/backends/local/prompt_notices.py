"""What a user should know about a prompt before its numbers are read."""

from __future__ import annotations

from collections.abc import Iterator

from gptcli.text.prompt_end import ends_in_stray_space
from gptcli.text.tokenizer import Tokenizer
from gptcli.types.events import Notice


def stray_space(tokenizer: Tokenizer, prompt: str, advice: str) -> Iterator[Notice]:
    """A prompt that ends in a space, and what to do about it."""
    if ends_in_stray_space(tokenizer, prompt):
        text = f"ends in a space, which usually belongs to the next token; {advice}"
        yield Notice("prompt", text)


def plain_control_token(tokenizer: Tokenizer, prompt: str) -> Iterator[Notice]:
    """A control token's name in a prompt in which control tokens are not obeyed."""
    special = tokenizer.special_in(prompt)
    if special:
        yield Notice("prompt", f"{special} is read as plain text; --special makes it a token")
