"""Places of tokens in a text as post-processors leave them: some take white space away.

The tokenizers library's ByteLevel does, also where nothing is put around a text:
https://github.com/huggingface/tokenizers/blob/main/tokenizers/src/pre_tokenizers/byte_level.rs
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

from gptcli.formats.tokenizer_json.parts import Part
from gptcli.text.cutter import Cut

#: Unicode's White_Space, and what stands for a space in byte-level vocabularies.
_SPACES = "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000Ġ" + "".join(
    map(chr, range(0x2000, 0x200B))
)


def trims(post_processor: Part | None) -> list[bool] | None:
    """For each step that trims, whether it spares a space that was put before the text.

    None where a step is of a kind that is not known here.
    """
    if post_processor is None:
        return []
    kind = post_processor.get("type")
    if kind == "Sequence":
        found = [trims(each) for each in post_processor["processors"]]
        known = [each for each in found if each is not None]
        return list(chain.from_iterable(known)) if len(known) == len(found) else None
    if kind == "ByteLevel":
        spares = bool(post_processor["add_prefix_space"])
        return [spares] if post_processor["trim_offsets"] else []
    return [] if kind == "TemplateProcessing" else None


def trimmed(cut: list[Cut], spellings: Sequence[str], *, spares: bool) -> list[Cut]:
    """(id, start, end) of each token, less the white space in its spelling."""
    return [
        _trimmed(*each, at == 0, spares) for at, each in enumerate(zip(cut, spellings, strict=True))
    ]


def _trimmed(each: Cut, spelling: str, first: bool, spares: bool) -> Cut:
    token, start, end = each
    before = len(spelling) - len(spelling.lstrip(_SPACES))
    after = len(spelling) - len(spelling.rstrip(_SPACES))
    if before:
        put = spares and before == 1 and (first or start == 0)
        start = min(start + (0 if put else before), end)
    if after and end >= after:
        end = max(end - after, start)
    return token, start, end
