"""A model that is run from a GGUF file → a directory of safetensors, for other programs."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

from gptcli import atomic
from gptcli.errors import UsageError
from gptcli.formats.gguf import index
from gptcli.models import disk
from gptcli.types.events import Progress
from gptcli.types.models import ModelDir


def convert(model: ModelDir, to: Path) -> Generator[Progress, None, None]:
    """Writes the model beside `to`, and then under that name: see `gguf.convert`.

    Raises UsageError where `to` is there already, and where the model is no GGUF file; ModelError;
    ResourceError where it cannot be written.
    """
    files = index.files_of(model.path)
    if not files:
        raise UsageError("MODEL", f"{model.name} is not a GGUF file, but in safetensors as it is")
    if to.exists() or to.is_symlink():
        raise UsageError("--output", f"{to} is there already")
    from gptcli.models.gguf import convert as gguf

    place = to.absolute()
    with disk.writing(place.parent), atomic.replacing_directory(place) as staging:
        yield from gguf.convert(files[0], staging, to.name, model.source, model.licence)
