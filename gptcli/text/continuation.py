"""A text after another: which tokens belong to which.

Tokens carry the space before a word, so two texts that are cut one by one do not give the tokens
of their sum, which are those that the model knows. The rule is that of lm-evaluation-harness
(`TemplateLM._encode_pair`), made safe for a border within a token.
"""

from __future__ import annotations

from gptcli.text.tokenizer import Tokenizer


def split_continuation(
    tokenizer: Tokenizer, prefix: str, text: str, *, special: bool = False
) -> tuple[list[int], list[int]]:
    """(prefix ids, text ids) of prefix + text, cut into tokens as one text and then split.

    White space at the end of the prefix belongs to the text: "a " + "b" is split as "a" + " b".
    A token across the border ("Fran" + "ce"), and what it made of its neighbours, belongs to the
    text as well, so that whoever scores the text misses none of it. The two lists together are
    always the ids of prefix + text; the second is empty only where the text adds no token.

    special: as for `Tokenizer.encode`.
    """
    kept = prefix.rstrip()
    whole = tokenizer.encode(prefix + text, special=special)
    alone = tokenizer.encode(kept, special=special)
    border = 0
    for ours, theirs in zip(alone, whole, strict=False):
        if ours != theirs:
            break
        border += 1
    return whole[:border], whole[border:]
