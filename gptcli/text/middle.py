"""Filling in the middle: the marks by which a model was taught to write between two texts.

They are found in the vocabulary, under the names that families gave them, never by a model's name.
"""

from __future__ import annotations

from gptcli.plain import dataclass
from gptcli.text.tokenizer import Tokenizer


@dataclass(frozen=True)
class _Marks:
    """Names of tokens: before the text that comes first, before the one that comes after, and
    behind both, where there is one. suffix_first: in which order the two stand.
    """

    before: str
    after: str
    here: str | None
    suffix_first: bool = False


_FORMS = (
    _Marks("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"),  # Qwen2.5-Coder, CodeGemma
    _Marks("<fim_prefix>", "<fim_suffix>", "<fim_middle>"),  # StarCoder, Granite
    _Marks("<fim-prefix>", "<fim-suffix>", "<fim-middle>"),  # SantaCoder
    _Marks("<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>"),
    _Marks("▁<PRE>", "▁<SUF>", "▁<MID>"),  # CodeLlama
    _Marks("<|code_prefix|>", "<|code_suffix|>", "<|code_middle|>"),  # GLM
    _Marks("<[fim-prefix]>", "<[fim-suffix]>", "<[fim-middle]>", suffix_first=True),  # Seed-Coder
    _Marks("[PREFIX]", "[SUFFIX]", None, suffix_first=True),  # Codestral
)
#: What such a model ends with, beside its end tokens: where a file, or its part, is over.
_ENDS = (
    *("<|fim_pad|>", "<|file_sep|>", "<|file_separator|>", "<|repo_name|>", "<|cursor|>"),
    *("<fim_pad>", "<fim-pad>", "<file_sep>", "<filename>", "<reponame>", "▁<EOT>", "[MIDDLE]"),
)


@dataclass(frozen=True)
class Middle:
    """The marks of one vocabulary, in ids; see `_Marks`."""

    before: int
    after: int
    here: int | None
    suffix_first: bool
    ends: frozenset[int]

    def ids(
        self, tokenizer: Tokenizer, prefix: str, suffix: str, *, special: bool = False
    ) -> list[int]:
        """The document whose next token stands between the two, with what begins every text."""
        first = [self.before, *tokenizer.encode(prefix, special=special)]
        # No space of a text's beginning: it goes on with what is to be written.
        last = [self.after, *tokenizer.encode(suffix, special=special, inside=True)]
        parts = [*last, *first] if self.suffix_first else [*first, *last]
        return [*tokenizer.prefix, *parts, *([] if self.here is None else [self.here])]


def middle_of(tokenizer: Tokenizer) -> Middle | None:
    """The marks of a vocabulary; None where it has none."""
    for marks in _FORMS:
        before, after = tokenizer.id_of(marks.before), tokenizer.id_of(marks.after)
        here = tokenizer.id_of(marks.here)
        if before is None or after is None or (marks.here is not None and here is None):
            continue
        found = {before, after, here, *map(tokenizer.id_of, _ENDS)}
        ends = frozenset(each for each in found if each is not None)
        return Middle(before, after, here, marks.suffix_first, ends)
    return None
