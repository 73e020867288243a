"""A GGUF file that is split into several: `name-00001-of-00003.gguf` and so on.

llama.cpp's gguf-split writes all metadata into the first part and tensors into each; `split.no`
counts from 0. https://github.com/ggml-org/llama.cpp/tree/master/tools/gguf-split
"""

from __future__ import annotations

import re
from pathlib import Path

from gptcli.errors import ModelError
from gptcli.formats.gguf import header
from gptcli.formats.gguf.header import Header, TensorInfo

_NAME = re.compile(r"(.+)-(\d{5})-of-(\d{5})(\.gguf)", re.IGNORECASE | re.ASCII)
#: More than any model has; the name of a file must not make us look for a million others.
_MOST = 1024


def part_of(name: str) -> tuple[str, int, int] | None:
    """`x-00002-of-00003.gguf` → `x`, 2 and 3; None for a name that is no part's."""
    match = _NAME.fullmatch(name)
    if not match or not 0 < int(match[2]) <= int(match[3]) <= _MOST:
        return None
    return match[1], int(match[2]), int(match[3])


def names(name: str) -> list[str]:
    """The names of all parts of what a file of that name is one of, in order; else just that."""
    named = part_of(name)
    if named is None:
        return [name]
    stem, _, count = named
    end = name[len(name) - len(f"-of-{count:05}.gguf") :]
    return [f"{stem}-{number + 1:05}{end}" for number in range(count)]


def paths(path: Path) -> list[Path]:
    """All parts of what a file is one of, in their order, as their names say: often just itself.

    Raises ModelError naming the first that is not there.
    """
    if part_of(path.name) is None:
        return [path]
    found = [path.with_name(name) for name in names(path.name)]
    for part in found:
        if not part.exists():
            raise ModelError(str(part), f"is missing: {path.name} is one of {len(found)} parts")
    return found


def stem(path: Path) -> str:
    """The name of the whole, without the part's number."""
    part = part_of(path.name)
    return part[0] if part else path.stem


def read(path: Path) -> Header:
    """The header of the whole that a file is, or is one part of. Raises ModelError."""
    first = header.read(path)
    if first.fields.get("split.count", 0) in (0, 1):
        return first
    files = paths(path)
    if len(files) != first.fields["split.count"]:
        count = first.fields["split.count"]
        raise ModelError(str(path), f"is one of {count!r} parts, but its name does not say which")
    heads = [header.read(part) for part in files]
    tensors: dict[str, TensorInfo] = {}
    for number, (part, head) in enumerate(zip(files, heads, strict=True)):
        stated = (head.fields.get("split.no"), head.fields.get("split.count"))
        if stated != (number, len(files)):
            reason = f"says that it is part {stated[0]!r} of {stated[1]!r}, counted from 0"
            raise ModelError(str(part), reason)
        for name, info in head.tensors.items():
            if name in tensors:
                raise ModelError(str(part), f"holds {name}, as {tensors[name].file.name} does")
            tensors[name] = info
    whole = heads[0].fields.get("split.tensors.count")
    if whole != len(tensors):
        raise ModelError(
            str(path), f"and its other parts hold {len(tensors)} tensors, not {whole!r}"
        )
    return Header(files[0], heads[0].fields, tensors)
