"""The library's tokenizer with all of its vocabulary."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from gptcli.formats.tokenizer_json import library
from gptcli.formats.tokenizer_json.settings import TokenizerSettings
from gptcli.text import added_tokens, first_space
from gptcli.text.cutter import Cut, within

if TYPE_CHECKING:
    from tokenizers import Tokenizer


class LibraryTokenizer:
    """A `Cutter`."""

    def __init__(self, steps: Tokenizer, growth: int, disputes: Sequence[str]) -> None:
        self.steps, self.growth, self.disputes = steps, growth, tuple(disputes)

    @property
    def size(self) -> int:
        """How many tokens there are, added ones included."""
        return self.steps.get_vocab_size(with_added_tokens=True)

    @cached_property
    def prefix(self) -> list[int]:
        """As the post-processor decides; an end token that it would append is left out."""
        with library.guarded():
            encoding = self.steps.encode("a", add_special_tokens=True)
            bare = len(self.steps.encode("a", add_special_tokens=False).ids)
        before = next((i for i, m in enumerate(encoding.special_tokens_mask) if not m), 0)
        return list(encoding.ids[:before]) if len(encoding.ids) > bare else []

    def cut(self, text: str, *, special: bool, inside: bool) -> list[Cut]:
        """A text's tokens."""
        self.steps.encode_special_tokens = not special
        with within(self.steps, inside=inside), library.guarded():
            found = self.steps.encode(text, add_special_tokens=False)
        return [(i, a, b) for i, (a, b) in zip(found.ids, found.offsets, strict=True)]

    def pieces(self, word: str) -> list[int]:
        """What the model alone makes of a word."""
        with library.guarded():
            return [part.id for part in self.steps.model.tokenize(word)]

    def id_of(self, spelling: str) -> int | None:
        """The token of exactly that spelling."""
        return self.steps.token_to_id(spelling)

    def spelling(self, token: int) -> str | None:
        """A token's spelling in the vocabulary."""
        # Larger numbers than the library's type holds would be an OverflowError there.
        return self.steps.id_to_token(token) if 0 <= token < 2**32 else None

    def decoded(self, token: int) -> str:
        """A token as the decoder alone gives it."""
        with library.guarded():
            return self.steps.decode([token], skip_special_tokens=False)


def read(text: bytes, growth: int, settings: TokenizerSettings) -> LibraryTokenizer:
    """From the text of a tokenizer.json, and what is said beside it. Raises UnfitError."""
    rust = library.build(text)
    if getattr(rust.model, "dropout", None):
        # It makes the cut random, which is for training.
        rust.model.dropout = None
    disputes = [*settings.disputes, *added_tokens.add(rust, settings)]
    return LibraryTokenizer(rust, growth, disputes + first_space.obey(rust, settings))
