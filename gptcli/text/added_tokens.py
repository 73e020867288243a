"""What other files say of a tokenizer, done to the one that tokenizer.json describes.

As transformers 5 does it (`TokenizersBackend.__init__`): tokens that tokenizer.json lacks are
added, those that it has get the settings of tokenizer_config.json, and tokens that have a part
are control tokens. Where files contradict each other, what is returned says which was taken.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from gptcli.formats.tokenizer_json import library
from gptcli.formats.tokenizer_json.settings import CONFIG, TokenizerSettings

if TYPE_CHECKING:
    from tokenizers import AddedToken, Tokenizer

_FILE = "tokenizer.json"
_OPTIONS = ("single_word", "lstrip", "rstrip", "special")


def add(rust: Tokenizer, settings: TokenizerSettings) -> list[str]:
    """Give a tokenizer the tokens that the other files name."""
    from tokenizers import AddedToken

    have = rust.get_added_tokens_decoder()
    wanted: list[AddedToken] = []
    disputes: list[str] = []
    free = _free(rust, have)
    for at, part in sorted(settings.added.items()):
        text = part["content"]
        options = {name: part[name] for name in _OPTIONS}
        # Whether it is looked for before or after the normaliser's work is the normaliser's matter.
        options["normalized"] = have[at].normalized if at in have else part["normalized"]
        # A token that has a part is a control token, whatever is said of it.
        options["special"] |= text in settings.named.values()
        token = AddedToken(text, **options)
        known = rust.token_to_id(text)
        if known is None and at != free:
            left = f"{CONFIG} or a file beside it gives {text!r} the id {at}, which cannot be: "
            disputes.append(f"{left}it is read as text")
        elif known not in (None, at):
            disputes.append(f"{text!r} is {known} in {_FILE}, {at} elsewhere: {_FILE} is taken")
        elif at not in have or _settings_of(have[at]) != _settings_of(token):
            if at in have and have[at].special != token.special:
                disputes.append(
                    f"{text!r} is {'a' if token.special else 'no'} control token in {CONFIG}, "
                    f"otherwise in {_FILE}: {CONFIG} is taken"
                )
            wanted.append(token)
            free += known is None
    listed = {*(token.content for token in have.values()), *(token.content for token in wanted)}
    wanted += [AddedToken(t, special=True) for t in _parts(rust, settings) if t not in listed]
    if wanted:
        with library.guarded():
            rust.add_tokens(wanted)
    return disputes


def _settings_of(token: AddedToken) -> tuple[object, ...]:
    return (token.content, *(getattr(token, name) for name in _OPTIONS))


def _free(rust: Tokenizer, have: Mapping[int, AddedToken]) -> int:
    """The id that the next token gets which no vocabulary has."""
    size = rust.get_vocab_size(with_added_tokens=False)
    return max(size, *(at + 1 for at in have)) if have else size


def _parts(rust: Tokenizer, settings: TokenizerSettings) -> Iterator[str]:
    """Names that a class alone gives to its tokens are none of those that it has not."""
    yield from settings.controls
    for text in dict.fromkeys(settings.usual.values()):
        if rust.token_to_id(text) is not None:
            yield text


def beginning(settings: TokenizerSettings, bos: str | None, *, puts: bool | None) -> list[str]:
    """Where add_bos_token says otherwise than the post-processor does, which decides.

    puts: whether it puts the token of that name before a text, None where there is none.
    """
    wanted = settings.flag("add_bos_token")
    if None in (wanted, puts) or wanted == puts:
        return []
    said = f"add_bos_token of {CONFIG} is {str(wanted).lower()}, {_FILE} puts"
    return [f"{said} {'' if puts else 'no '}{bos} before a text: {_FILE} is taken"]
