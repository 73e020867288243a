"""From the text of a tokenizer.json, and what is said beside it, to the library's tokenizer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gptcli.formats.tokenizer_json import library
from gptcli.formats.tokenizer_json.settings import TokenizerSettings
from gptcli.text import added_tokens, first_space

if TYPE_CHECKING:
    from tokenizers import Tokenizer


def opened(text: bytes, settings: TokenizerSettings) -> tuple[Tokenizer, list[str]]:
    """The tokenizer, and what its files contradict each other in. Raises UnfitError."""
    rust = library.build(text)
    if getattr(rust.model, "dropout", None):
        # It makes the cut random, which is for training.
        rust.model.dropout = None
    disputes = [*settings.disputes, *added_tokens.add(rust, settings)]
    return rust, disputes + first_space.obey(rust, settings)
