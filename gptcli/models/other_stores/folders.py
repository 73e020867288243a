"""Stores that are folders of GGUF files: LM Studio's, and the cache of llama.cpp's `-hf`.

LM Studio: publisher/repository/file.gguf, or a directory with config.json and safetensors.
llama.cpp: org_repository_file.gguf beside manifests; newer builds use the hub's own cache, and its
layout too where LLAMA_CACHE names a place.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from gptcli.errors import ModelError
from gptcli.formats.gguf import parts
from gptcli.formats.model_files import CONFIG
from gptcli.models import disk
from gptcli.models.hub_variants import is_model
from gptcli.models.other_stores.base import Kept, from_variable, home
from gptcli.plain import dataclass

#: Directories below a folder, as far down as a model is; a folder of anything else ends soon.
_DEPTH = 4
_MOST = 20_000


@dataclass(frozen=True)
class Folder:
    """A folder, or several of which any may be missing; a name is a path in one."""

    prefix: str
    tool: str
    #: Variables that name the folder, and where it is else, below the home directory.
    variables: tuple[str, ...]
    places: tuple[tuple[str, ...], ...]

    def roots(self) -> list[Path]:
        """Where it may be, whether it is or not."""
        given = [path for name in self.variables for path in from_variable(name)]
        return given or [path for place in self.places for path in home(*place)]

    def listing(self) -> Iterator[Kept]:
        """See Store.listing."""
        seen = set()
        for root in self.roots():
            for path in _models(root):
                name = path.relative_to(root).as_posix()
                if name not in seen:
                    seen.add(name)
                    yield _kept(name, path)

    def find(self, name: str) -> tuple[Path, tuple[str, ...]]:
        """See Store.find."""
        subject = f"{self.prefix}:{name}"
        if not name or "\0" in name or Path(name).is_absolute() or ".." in Path(name).parts:
            raise ModelError(subject, f"is not a path in {self.tool}'s folder")
        for root in self.roots():
            with suppress(OSError):
                path = root / name
                if path.is_file() or (path / CONFIG).is_file():
                    return path, ()
        raise ModelError(subject, f"is not in {self.tool}'s folder", "gptcli models list --all")


def _models(root: Path) -> Iterator[Path]:
    """GGUF files, the first of their parts, and directories with settings; sorted."""
    entries = 0
    for place, folders, files in os.walk(root, followlinks=False):
        below = Path(place)
        entries += len(files) + len(folders)
        if entries > _MOST:
            return
        deep = len(below.relative_to(root).parts)
        # Blobs of a cache have links elsewhere; what begins with a dot is nobody's model.
        folders[:] = sorted(n for n in folders if n != "blobs" and not n.startswith("."))
        if deep >= _DEPTH:
            folders.clear()
        if CONFIG in files and any(name.endswith(".safetensors") for name in files):
            folders.clear()
            yield below
        for name in sorted(files):
            part = parts.part_of(name)
            if is_model(name) and (part is None or part[1] == 1):
                yield below / name


def _kept(name: str, path: Path) -> Kept:
    try:
        if path.is_dir():
            return Kept(name, path, disk.size_of(path))
        return Kept(name, path, sum(part.stat().st_size for part in parts.paths(path)))
    except ModelError as error:
        return Kept(name, None, None, str(error))
    except OSError as error:
        return Kept(name, None, None, error.strerror)


LM_STUDIO = Folder(
    "lmstudio",
    "LM Studio",
    (),
    ((".lmstudio", "models"), (".cache", "lm-studio", "models")),
)
LLAMA_CPP = Folder(
    "llama.cpp",
    "llama.cpp",
    ("LLAMA_CACHE",),
    ((".cache", "llama.cpp"), ("Library", "Caches", "llama.cpp")),
)
