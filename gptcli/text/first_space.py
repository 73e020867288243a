"""The space that some tokenizers put before a text, so that its first word is like any other.

SentencePiece's do, before a document or after each control token too; byte-level ones may. Nobody
wrote it: it is no byte of the text, and decoding takes it away again.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from gptcli.formats.tokenizer_json import library
from gptcli.formats.tokenizer_json.settings import CONFIG, SPACED_CLASSES, TokenizerSettings
from gptcli.plain import dataclass

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_SPACES = ("▁", " ", "Ġ")
_FILE = "tokenizer.json"


@dataclass(frozen=True)
class FirstSpace:
    """everywhere: before each text between added tokens, not only before a document.

    unless: bytes before which it is not put, since a text that begins so needs none.
    """

    everywhere: bool
    unless: bytes = b""

    def without(self, text: bytes) -> bytes:
        """A text as it was before the space was put there."""
        put = text.startswith(b" ") and (len(text) == 1 or text[1] not in self.unless)
        return text[put:]


def where(rust: Tokenizer) -> FirstSpace | None:
    """Before which texts a tokenizer puts a space, None for none."""
    if any(getattr(step, "prepend", None) in _SPACES for step in _steps(rust.normalizer)):
        return FirstSpace(everywhere=True)
    for step in _steps(rust.pre_tokenizer):
        scheme = getattr(step, "prepend_scheme", None)
        if scheme in ("always", "first"):
            return FirstSpace(scheme == "always", b" ")
        if getattr(step, "add_prefix_space", False) is True:
            return FirstSpace(everywhere=True, unless=b" \t\n\v\f\r")
    return None


def obey(rust: Tokenizer, settings: TokenizerSettings) -> list[str]:
    """Do as add_prefix_space says, where the tokenizer's class does; tells what was changed."""
    wanted = settings.flag("add_prefix_space")
    spaced = where(rust) is not None
    if wanted is None or wanted == spaced:
        return []
    said = f"add_prefix_space of {CONFIG} is {str(wanted).lower()}, {_FILE} puts "
    said += "one" if spaced else "none"
    if settings.kind not in SPACED_CLASSES or not _set(rust, settings, wanted):
        return [f"{said}: {_FILE} is taken"]
    return [f"{said}: {CONFIG} is taken"]


def _set(rust: Tokenizer, settings: TokenizerSettings, wanted: bool) -> bool:
    """Whether there was something to set."""
    from tokenizers import normalizers

    scheme = "first" if settings.flag("legacy") is False else "always"
    done = False
    for step in _steps(rust.pre_tokenizer):
        if hasattr(step, "add_prefix_space"):
            step.add_prefix_space = wanted
            done = True
        elif hasattr(step, "prepend_scheme"):
            step.prepend_scheme = scheme if wanted else "never"
            done = True
    steps = list(_steps(rust.normalizer))
    kept = [step for step in steps if getattr(step, "prepend", None) not in _SPACES]
    if not wanted and len(kept) < len(steps):
        with library.guarded():
            rust.normalizer = normalizers.Sequence(kept)
        done = True
    return done


def _steps(part: Any) -> Iterator[Any]:
    """A step, or those of a sequence, which can be indexed."""
    if part is not None and hasattr(part, "__getitem__"):
        for each in part:
            yield from _steps(each)
    elif part is not None:
        yield part
