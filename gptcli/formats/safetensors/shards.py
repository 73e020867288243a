"""The weight files of a model directory: which there are, and that they stay inside it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from gptcli.errors import ModelError
from gptcli.formats import json as jsonfile
from gptcli.formats.files import refuse_special
from gptcli.plain import dataclass

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
PICKLES = (".bin", ".pt", ".pth", ".ckpt")
_MAX_NAME = 255
#: Said wherever pickled weights are all there is.
NO_PICKLES = "has only pickled weights, which are not loaded since they can run code"


@dataclass(frozen=True)
class Shards:
    """The safetensors files of a directory, which may be missing, and what is to be in which.

    index: tensor name → file name, empty where one file holds all and nothing says so.
    """

    files: tuple[Path, ...]
    index: Mapping[str, str]


def find(directory: Path) -> Shards:
    """One file, or as many as the index names.

    Raises ModelError for an index that cannot be read or names a file outside the directory, and
    for a directory without weights.
    """
    require(directory)
    if (directory / WEIGHTS).is_file():
        return Shards((directory / WEIGHTS,), {})
    index = weight_map(directory / INDEX)
    found = tuple(directory / name for name in sorted(set(index.values())))
    for path in found:
        refuse_special(path)
    return Shards(found, index)


def require(directory: Path) -> None:
    """Raises ModelError where there are no safetensors weights, naming pickles if there are."""
    if (directory / WEIGHTS).is_file() or (directory / INDEX).is_file():
        return
    try:
        pickles = [entry.name for entry in directory.iterdir() if entry.suffix in PICKLES]
    except OSError as error:
        raise ModelError(str(directory), f"cannot be read: {error.strerror}") from None
    if pickles:
        raise ModelError(
            str(directory), f"{NO_PICKLES} ({min(pickles)})", "convert them to safetensors"
        )
    raise ModelError(str(directory), f"has no weights: neither {WEIGHTS} nor {INDEX}")


def weight_map(index: Path) -> dict[str, str]:
    """Tensor name → shard file name, from the index file. Raises ModelError as `find` does."""
    found = jsonfile.read(index, jsonfile.INDEX_LIMIT).get("weight_map")
    if not isinstance(found, dict) or not found:
        raise ModelError(str(index), "has no weight_map")
    for shard in found.values():
        check_name(index, shard)
    for shard in set(found.values()):
        _check_link(index, index.parent / shard)
    return found


def check_name(subject: Path, name: object) -> None:
    """Raises ModelError for a shard's name that is not a plain .safetensors file name."""
    if (
        not isinstance(name, str)
        or PurePosixPath(name).name != name
        or "\\" in name
        or not name.isprintable()
        or len(name.encode()) > _MAX_NAME
        or not name.endswith(".safetensors")
    ):
        raise ModelError(str(subject), f"names the shard {name!r}, which is not a file beside it")


def _check_link(index: Path, shard: Path) -> None:
    """A link may lead into the directory, or from a cache's snapshot into that cache."""
    if not shard.is_symlink():
        return
    place = index.parent.resolve()
    if place.parent.name == "snapshots":
        # <cache>/<repository>/snapshots/<commit>: blobs are the repository's or the cache's.
        place = place.parents[2]
    try:
        target = shard.resolve()
    except (OSError, RuntimeError):
        raise ModelError(str(shard), "is a link that leads nowhere") from None
    if not target.is_relative_to(place):
        raise ModelError(str(shard), "is a link that leads out of the model's directory")
