"""Where a prompt ends matters: tokens carry the space before a word, and words are tokens."""

from __future__ import annotations

from itertools import accumulate

from gptcli.text.tokenizer import Tokenizer


def ends_in_stray_space(tokenizer: Tokenizer, prompt: str) -> bool:
    """Whether the prompt ends in a space that the next word's token would have brought itself.

    The model has hardly ever seen a lone space before a word, so what it adds is often poor.
    """
    if not prompt.endswith(" ") or not prompt.strip():
        return False
    pieces = [tokenizer.bytes_of(token) for token in tokenizer.encode("the cat")]
    return any(len(piece) > 1 and piece.startswith(b" ") for piece in pieces)


def splits_token(tokenizer: Tokenizer, prompt: str, completion: str) -> bool:
    """Whether prompt and completion, cut into tokens as one text, have a token across the border.

    Then the prompt ended in the middle of what the model knows as one token ("Fran" + "ce").
    Only words count: a sign that joins the one before it says nothing about the prompt.
    """
    if not (prompt[-1:].isalnum() and completion[:1].isalnum()):
        return False
    # A short stretch to both sides decides; long texts need not be cut again.
    left, right = prompt[-64:], completion[:64]
    sizes = [len(tokenizer.bytes_of(token)) for token in tokenizer.encode(left + right)]
    # SentencePiece may put a space before a text, which then has one byte more.
    border = len(left.encode()) + sum(sizes) - len((left + right).encode())
    return border not in accumulate(sizes)
