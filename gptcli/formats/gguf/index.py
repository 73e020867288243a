"""`gguf.json`: which tensors of GGUF files a model directory of gptcli's own stands for.

    {"files": [{"path": …, "size": …}, …], "stamp": …, "tensors": {name: {
        "shape": [rows, columns], "rows": [[file, type, count, columns, begin, end], …],
        "rope": heads, "groups": [groups, queries], "part": [first, last], "turned": true,
        "shift": number, "log": true}, …}}

`rows` are the tensors of the files that one is made of, and what follows them, where it is there,
is what `taken.Taken` says of it. A path is a file's name in the directory, or an absolute one,
which is obeyed in directories alone that gptcli made itself: a stranger's could name any file. The
stamp is the `identity.stamp` of files outside, null where there are none.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gptcli import config, identity
from gptcli.errors import ModelError
from gptcli.formats import json as jsonfile
from gptcli.formats.files import refuse_special
from gptcli.formats.gguf.taken import (
    GgufRows,
    GroupOrder,
    Order,
    PartOrder,
    RopeOrder,
    StackOrder,
    Taken,
    TurnOrder,
)
from gptcli.formats.stored import StoredFiles, StoredTensor

NAME = "gguf.json"
#: No machine has room for as much, and what is multiplied stays a number that numpy can count.
_MOST = 1 << 48


def write(
    directory: Path, files: Sequence[Path], stamp: str | None, tensors: Mapping[str, StoredTensor]
) -> None:
    """Writes the index of tensors, all of which are taken from `files`.

    stamp: theirs, None where they are the directory's own.
    """
    numbers = {file: number for number, file in enumerate(files)}
    found = {
        "files": [
            {
                "path": file.name if file.parent == directory else str(file),
                "size": file.stat().st_size,
            }
            for file in files
        ],
        "stamp": stamp,
        "tensors": {
            name: _entry(tensor.shape, tensor.taken, numbers)
            for name, tensor in tensors.items()
            if tensor.taken is not None
        },
    }
    text = json.dumps(found, separators=(",", ":"))
    (directory / NAME).write_text(text + "\n", encoding="utf-8")


def read(directory: Path) -> StoredFiles:
    """The tensors of a directory's index.

    Raises ModelError for an index that leads out of a directory that is not gptcli's, for a file
    that is missing or was changed since, and for an index that does not fit its files.
    """
    path = directory / NAME
    found = jsonfile.read(path, jsonfile.INDEX_LIMIT)
    try:
        files = [(_place(directory, each["path"]), each["size"]) for each in found["files"]]
        sizes = [_counted(size) for _, size in files]
        paths = tuple(file for file, _ in files)
        _check_inside(directory, paths)
        stamp = _check(paths, sizes, found["stamp"])
        entries = found["tensors"].items()
        tensors = {name: _tensor(name, entry, paths, sizes) for name, entry in entries}
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise ModelError(str(path), f"is not an index of gptcli's: {error!r}") from None
    return StoredFiles(directory, paths, tensors, stamp)


def files_of(directory: Path) -> list[Path]:
    """The files that an index names, there or not; none where it cannot be read."""
    try:
        found = jsonfile.read(directory / NAME, jsonfile.INDEX_LIMIT)
        return [_place(directory, each["path"]) for each in found["files"]]
    except (ModelError, KeyError, TypeError, ValueError):
        return []


def _check_inside(directory: Path, files: Sequence[Path]) -> None:
    """Raises ModelError for a file outside of a directory that gptcli did not make."""
    outside = [file for file in files if file.parent != directory or file.is_symlink()]
    place = (config.data_dir() / "models").resolve()
    if outside and not directory.resolve().is_relative_to(place):
        reason = f"names {outside[0]}, which is not a file beside it"
        raise ModelError(str(directory / NAME), reason, "give the .gguf file itself as model")


def _place(directory: Path, path: str) -> Path:
    return Path(path) if Path(path).is_absolute() else directory / Path(path).name


def _check(files: Sequence[Path], sizes: Sequence[int], stamp: str | None) -> str:
    """The files' stamp, where they are those that the index is of."""
    for file, size in zip(files, sizes, strict=True):
        refuse_special(file)
        if not file.exists():
            raise ModelError(str(file), "is missing: the model is run from it")
        if file.stat().st_size != size:
            raise _changed(file)
    try:
        found = identity.stamp(files)
    except OSError as error:
        raise ModelError(str(files[0]), f"cannot be read: {error.strerror}") from None
    if stamp is not None and found != stamp:
        raise _changed(files[0])
    return found


def _changed(file: Path) -> ModelError:
    reason = "was changed since it was made into a model"
    return ModelError(str(file), reason, "give the file itself as model")


def _entry(shape: Sequence[int], taken: Taken, files: Mapping[Path, int]) -> dict[str, Any]:
    rows = [
        [files[each.file], each.type, each.count, each.columns, each.begin, each.end]
        for each in taken.sources
    ]
    found: dict[str, Any] = {"shape": list(shape), "rows": rows}
    match taken.order:
        case RopeOrder(heads):
            found["rope"] = heads
        case GroupOrder(groups, queries):
            found["groups"] = [groups, queries]
        case StackOrder(stacks, sources):
            found["stacks"] = [stacks, sources]
        case PartOrder(groups, parts):
            found["parts"] = [groups, parts]
        case TurnOrder():
            raise ValueError("what is read in place keeps its heads by turns")
    if taken.part is not None:
        found["part"] = list(taken.part)
    if taken.turned:
        found["turned"] = True
    if taken.shift:
        found["shift"] = taken.shift
    if taken.log:
        found["log"] = True
    return found


def _tensor(
    name: str, entry: Mapping[str, Any], files: Sequence[Path], sizes: Sequence[int]
) -> StoredTensor:
    shape = tuple(_counted(size) for size in entry["shape"])
    sources = tuple(_rows(each, files, sizes) for each in entry["rows"])
    part = entry.get("part")
    taken = Taken(
        sources,
        _order(entry, sum(source.count for source in sources)),
        None if part is None else (_counted(part[0]), _counted(part[1])),
        entry.get("turned", False) is True,
        float(entry.get("shift", 0.0)),
        entry.get("log", False) is True,
    )
    total = sum(source.count for source in sources)
    alike = {(source.count, source.columns) for source in sources}
    first, last = taken.part or (0, total)
    if len(alike) > 1 or not 0 <= first < last <= total or not taken.fits(shape):
        raise ValueError(f"{name} does not fit its rows")
    begin = sources[0]
    return StoredTensor(name, begin.file, taken.kind, shape, begin.begin, begin.end, taken)


def _rows(entry: Sequence[Any], files: Sequence[Path], sizes: Sequence[int]) -> GgufRows:
    number, kind, count, columns, begin, end = entry
    counts = [_counted(each) for each in (number, count, columns, begin, end)]
    if not (count and columns and begin < end <= sizes[number] and (end - begin) % count == 0):
        raise ValueError(f"rows at {counts} do not fit their file")
    return GgufRows(files[number], str(kind), count, columns, begin, end)


def _order(entry: Mapping[str, Any], rows: int) -> Order | None:
    if "rope" in entry:
        heads = _counted(entry["rope"])
        if not heads or rows % (2 * heads):
            raise ValueError(f"{rows} rows are not {heads} heads")
        return RopeOrder(heads)
    if "groups" in entry:
        groups, queries = (_counted(each) for each in entry["groups"])
        if not groups or rows % (groups * (queries + 2)):
            raise ValueError(f"{rows} rows are not {groups} groups")
        return GroupOrder(groups, queries)
    if "stacks" in entry:
        stacks, sources = (_counted(each) for each in entry["stacks"])
        if not stacks or not sources or rows % (stacks * sources):
            raise ValueError(f"{rows} rows are not {stacks} stacks of {sources}")
        return StackOrder(stacks, sources)
    if "parts" in entry:
        groups, parts = (_counted(each) for each in entry["parts"])
        if not groups or not parts or rows % (groups * parts):
            raise ValueError(f"{rows} rows are not {groups} groups of {parts} parts")
        return PartOrder(groups, parts)
    return None


def _counted(number: object) -> int:
    if type(number) is not int or not 0 <= number < _MOST:
        raise ValueError(f"{number!r} is not a count")
    return number
