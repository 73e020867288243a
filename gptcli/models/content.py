"""What a model is, by what is in its files, wherever they lie."""

from __future__ import annotations

from pathlib import Path

from gptcli import identity
from gptcli.errors import ModelError
from gptcli.models import manifest

#: Endings of the files that make a model what it is; a README does not.
_ENDINGS = frozenset((".json", ".safetensors", ".gguf", ".gz", ".model", ".jinja", ".txt"))


def content_of(place: Path) -> str:
    """32 hex digits for the files of a model or an adapter, of which large ones are sampled, or for
    one file.

    Raises ModelError where they cannot be read.
    """
    try:
        files = sorted(
            path
            for path in (place.iterdir() if not place.is_file() else (place,))
            if path.suffix in _ENDINGS and path.name != manifest.NAME and path.is_file()
        )
        return identity.sample(files)
    except OSError as error:
        raise ModelError(str(place), error.strerror or str(error)) from None
