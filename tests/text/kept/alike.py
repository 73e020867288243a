"""Whether a kept form and the library cut alike, and texts over which they might not."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from random import Random
from typing import Any

from gptcli.formats.tokenizer_json.parts import UnfitError
from gptcli.text.cutter import Cutter
from gptcli.text.kept import form, making
from gptcli.text.kept.tokenizer import KeptTokenizer
from gptcli.text.library_tokenizer import LibraryTokenizer

#: Letters and marks of many kinds, white space that is some to one library and none to another.
_LETTERS = (
    "abcdefgh ABC  '.,!?-_\n\t\r0123456789<|>/éüñ漢字日本語"
    "🙂👩‍👩‍👧ÄŽ\u0301\u0300\u200d\u200b\xa0\u3000\ufeff"
    "\x00\x1c\x85▁Ġİßﷺ한국어العربيةहिन्दी\u2028\U0001f1e9\U0001f1ea\ufffd\U0010ffff"
)
#: What looks like a control token, like a byte, and like what others make of a space.
_PARTS = (
    *("</s>", "<s>", "<|im_end|>", "<|endoftext|>", "<start_of_turn>", "<0x0A>", "<0xE2>", "<unk>"),
    *(
        "   ",
        "\n\n\n",
        " the",
        " of",
        "ing",
        "'s",
        "don't",
        "  " * 20,
        "a" * 40,
        "<tool>",
        " ▁▁",
        *("ĠĠ", "\x1c\u2009x\u2009\x1c"),
    ),
)
SAMPLES = ("", " ", "hello", *_PARTS, _LETTERS, "".join(_PARTS))


def text(chance: Random, spellings: Sequence[str]) -> str:
    """A text of all of that, and of tokens of a vocabulary."""
    return "".join(_part(chance, spellings) for _ in range(chance.randint(0, 30)))


def _part(chance: Random, spellings: Sequence[str]) -> str:
    kind = chance.random()
    if kind < 0.45:
        return chance.choice(_LETTERS) * chance.choice((1, 1, 1, 1, 2, 5))
    if kind < 0.6:
        return chance.choice(_PARTS)
    if kind < 0.62:
        return chr(chance.choice((chance.randint(0, 0xD7FF), chance.randint(0xE000, 0x10FFFF))))
    found = chance.choice(spellings)
    return found.replace("▁", " ").replace("Ġ", " ") if chance.random() < 0.5 else found


def kept(whole: LibraryTokenizer) -> KeptTokenizer | None:
    """A tokenizer in its kept form, that cuts as much as it is given."""
    made = making.made(whole.steps)
    if made is None:
        return None
    facts = {"size": whole.size, "growth": 1, "prefix": whole.prefix, "disputes": []}
    found = form.read(memoryview(form.written("it", made[0] | facts, made[1])), "it")
    assert found is not None
    return KeptTokenizer(found, lambda: whole, most=1 << 60)


def assert_alike(one: Cutter, other: Cutter, texts: Iterable[str]) -> None:
    """The same tokens in the same places, whatever is asked, and the same refusals."""
    for each in texts:
        if isinstance(one, KeptTokenizer):
            # What the library was asked for once it would do from then on.
            one._opened = False
        for special in (False, True):
            for inside in (False, True):
                asked = (each, special, inside)
                got = _answer(one.cut, each, special=special, inside=inside)
                assert got == _answer(other.cut, each, special=special, inside=inside), asked
        assert _answer(one.pieces, each) == _answer(other.pieces, each), each


def assert_same_vocabulary(one: Cutter, other: Cutter, step: int = 1) -> None:
    """The same ids and spellings; those of added tokens are what the library looks for."""
    added = other.steps.get_added_tokens_decoder()
    assert one.size == other.size and one.prefix == other.prefix
    for token in (*range(0, other.size + 2, step), -1, 2**32):
        spelling = other.spelling(token)
        if token not in added:
            assert one.spelling(token) == spelling, token
        if spelling is not None:
            assert one.spelling(token) is not None, token
            assert one.id_of(spelling) == other.id_of(spelling), spelling
    for spelling in ("", "zzqqzz", "unknown", "<0xZZ>", "<0x41>"):
        assert one.id_of(spelling) == other.id_of(spelling), spelling


def _answer(ask: Callable[..., Any], *args: Any, **more: Any) -> Any:
    try:
        return ask(*args, **more)
    except UnfitError as error:
        return str(error)
