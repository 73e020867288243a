"""Which of a repository's GGUF files is meant: its variants, as `org/name:Q4_K_M` names them.

A variant is one file or all parts of one. Its name is the quantisation at the end of the file's
name, or of the directory's that it has to itself; where there is none, or another file has it
already, the file's own. Which one is taken where nothing is asked for is llama.cpp's rule:
`find_best_model` in https://github.com/ggml-org/llama.cpp/blob/master/common/download.cpp.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

from gptcli.errors import ModelError
from gptcli.formats import ggml_blocks
from gptcli.formats.gguf import parts
from gptcli.plain import dataclass

SUFFIX = ".gguf"
#: What is no model of its own: eyes and ears, statistics for quantising, and drafts.
_BESIDE = ("mmproj", "imatrix", "mtp-", "eagle3-", "dflash-", "dspark-")
_QUANTISATION = re.compile(
    r"(?:^|[-._])((?:UD-|i1-)?"
    r"(?:I?Q\d+(?:_[A-Z0-9]+)*|TQ\d_\d|BF16|FP?(?:16|32)|MXFP4(?:_MOE)?|NVFP4))",
    re.IGNORECASE | re.ASCII,
)
#: The form of most of a variant's matrices, in a name as Q4_K_M, IQ4_XS or Q8_0.
_FORM = re.compile(r"I?Q(\d+)(?:_(?:K|NL|XS|\d))?")
#: What llama.cpp takes of several, in this order; then the first.
_PREFERRED = ("Q4_K_M", "Q8_0")
_PARTS = 1024
#: Of a list in a sentence.
_TOLD = 30


@dataclass(frozen=True)
class Variant:
    """A GGUF file of a repository, by its name there; in parts, all of them in their order.

    size: bytes of all parts, None where the hub does not say.
    """

    name: str
    files: tuple[str, ...]
    size: int | None


def is_model(name: str) -> bool:
    """Whether a file of that name is a GGUF model, or a part of one."""
    base = PurePosixPath(name).name.lower()
    return base.endswith(SUFFIX) and not any(word in base for word in _BESIDE)


def variants(files: Mapping[str, int | None]) -> list[Variant]:
    """The variants in a repository of these files and sizes; those in its root come first."""
    found: dict[str, Variant] = {}
    listed = [name for name in files if is_model(name)]
    # Of a few names that claim a thousand parts each, no more is made than there could be.
    room = 4 * len(listed) + _PARTS
    for name in sorted(listed, key=lambda name: name.count("/")):
        place = PurePosixPath(name)
        part = parts.part_of(place.name)
        whole: tuple[str, ...] = (name,)
        if part is not None:
            _, number, count = part
            room -= count if number == 1 else 0
            if number != 1 or room < 0:
                continue
            whole = tuple(str(place.with_name(each)) for each in parts.names(place.name))
        label = _label(place) or name
        label = name if label in found else label
        sizes = [files.get(each) for each in whole]
        known = [size for size in sizes if size is not None]
        found[label] = Variant(label, whole, sum(known) if len(known) == len(sizes) else None)
    return list(found.values())


def choose(found: Sequence[Variant], wanted: str) -> Variant | None:
    """The variant of that name, or the one that llama.cpp takes where none is wanted.

    A name is a file's, with its directory or without; else it is a variant's, whatever the case,
    and `Q4_K_M` also means `UD-Q4_K_M` where there is no plain one.
    """
    if not wanted:
        preferred = (choose(found, name) for name in _PREFERRED)
        return next(filter(None, preferred), found[0] if found else None)
    asked = wanted.lower()
    within = re.compile(rf"(?:^|[-._/]){re.escape(asked)}[-./]")
    tests = (
        lambda each: asked in (file.lower() for file in each.files),
        lambda each: asked in (PurePosixPath(file).name.lower() for file in each.files),
        lambda each: each.name.lower() == asked,
        lambda each: each.name.lower().endswith(f"-{asked}"),
        lambda each: within.search(each.files[0].lower()),
    )
    return next((each for test in tests for each in found if test(each)), None)


def require(found: Sequence[Variant], wanted: str, subject: str) -> Variant:
    """As `choose`. Raises ModelError that lists what there is."""
    chosen = choose(found, wanted)
    if chosen is not None:
        return chosen
    if not found:
        raise ModelError(subject, "has no GGUF files")
    there = listed([each.name for each in found])
    raise ModelError(subject, f"has no variant {wanted}", f"there are {there}")


def listed(words: Sequence[str]) -> str:
    """So many words as a sentence may have, and how many more there are."""
    more = len(words) - _TOLD
    return ", ".join(words[:_TOLD]) + (f" and {more} more" if more > 0 else "")


def memory(variant: Variant, parameters: int | None) -> int | None:
    """Bytes of its weights in memory, None where that cannot be told.

    As many as in the file where the kernels have its blocks; else they become bfloat16.
    """
    form = _FORM.match(variant.name.upper().removeprefix("UD-").removeprefix("I1-"))
    if form is None or form[0] in ggml_blocks.SIZES:
        return variant.size
    if parameters:
        return 2 * parameters
    return variant.size and variant.size * 16 // max(int(form[1]), 1)


def _label(place: PurePosixPath) -> str | None:
    part = parts.part_of(place.name)
    stem = part[0] if part else place.name[: -len(SUFFIX)]
    for text in (stem, place.parent.name):
        for match in _QUANTISATION.finditer(text):
            if match.end() == len(text):
                return match[1].upper().replace("I1-", "i1-")
    return None
