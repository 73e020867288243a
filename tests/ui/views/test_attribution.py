"""Which token wrote what, however a completion comes in pieces."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gptcli.types.completion import Chunk, PromptToken, TokenInfo
from gptcli.ui.views.attribution import Attribution, of_prompt

TEXT = "Sun 日本語 🙂\n\x1b[31m é end"


def cut(data: bytes, places: set[int]) -> list[bytes]:
    """The bytes in parts, cut wherever they are told to be."""
    ends = [*sorted({at for at in places if 0 < at < len(data)}), len(data)]
    return [data[a:b] for a, b in zip([0, *ends], ends, strict=False)]


def info(data: bytes, said: bytes | None = None) -> TokenInfo:
    return TokenInfo(data.decode(errors="replace"), 1, -0.5, data, (), None, said)


def pieces_of(chunks: list[Chunk]) -> list[tuple[str, tuple]]:
    attribution = Attribution()
    return [piece for chunk in chunks for piece in attribution.feed(chunk)]


@given(st.sets(st.integers(1, 40), max_size=12), st.integers(0, 9))
def test_pieces_are_the_text_and_each_token_is_in_one_of_them(places, stop):
    """Catches a character shown twice or as U+FFFD, a token lost, and text past a stop string."""
    parts = cut(TEXT.encode(), places)
    # As the local backend has it: whole characters only, and the last of them cut off.
    whole, given_, chunks = b"", "", []
    wanted = TEXT[: len(TEXT) - stop]
    for part in parts:
        whole += part
        text = whole.decode(errors="ignore")[: len(wanted)]
        chunks.append(Chunk(text[len(given_) :], 0, (info(part),)))
        given_ = text
    chunks.append(Chunk("", 0, (), "stop"))
    found = pieces_of(chunks)
    assert "".join(text for text, _ in found) == wanted
    assert all(tokens for text, tokens in found if text)
    at = 0
    for text, tokens in found:
        spelled = b"".join(token.bytes for token in tokens)
        own = text.encode()
        assert spelled.startswith(own)
        assert TEXT.encode()[at:].startswith(own)
        at += len(own)


def test_what_a_token_did_not_say_is_not_in_its_piece():
    """Catches a healed token that shows the prompt's end again, and a control token's name."""
    chunks = [
        Chunk("", 0, (info(b" Fr", b""),)),
        Chunk("ce", 0, (info(b"ance", b"ce"),)),
        Chunk("", 0, (info(b"<|im_end|>", b""),)),
        Chunk("!", 0, (info(b"!"),), "length"),
    ]
    found = pieces_of(chunks)
    assert [(text, [t.bytes for t in tokens]) for text, tokens in found] == [
        ("ce", [b"ance"]),
        ("!", [b"!"]),
    ]


def test_a_text_that_its_tokens_do_not_spell_comes_through_uncoloured():
    """Catches text that waits for ever for its token, and a wrong token beside it."""
    chunks = [
        Chunk("a", 0),
        Chunk(" b", 0, (info(b"x"),)),
        Chunk("c", 0, (info(b"c"),), "stop"),
    ]
    found = pieces_of(chunks)
    assert [(text, len(tokens)) for text, tokens in found] == [("a", 0), (" b", 0), ("c", 1)]


@given(st.sets(st.integers(1, 40), max_size=12), st.integers(0, 6))
def test_a_prompt_in_pieces_is_the_prompt(places, taken):
    """Catches a BOS token or a space of nobody's shown, and an end that is drawn anew lost."""
    data = TEXT.encode()
    parts = cut(data[: len(data) - taken], places)
    tokens = [PromptToken("", 1, None, part) for part in [b"<s> ", *parts]]
    found = list(of_prompt(TEXT, tokens))
    assert "".join(text for text, _ in found) == TEXT
    assert taken or sum(len(group) for _, group in found) >= len(parts)
    behind = [PromptToken("", 1, None, b"<suffix> more")]
    assert "".join(text for text, _ in of_prompt(TEXT, tokens + behind)) == TEXT
