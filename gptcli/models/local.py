"""A model directory that the user made: what has to be in it."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from gptcli.errors import ModelError
from gptcli.formats.gguf import index
from gptcli.formats.model_files import CONFIG, PACKED_TOKENIZER, TOKENIZER
from gptcli.formats.safetensors import shards
from gptcli.types.models import ModelDir


def has_tokenizer(names: Collection[str]) -> bool:
    """Whether among a directory's files are those of a tokenizer, or of what one is made of."""
    if TOKENIZER in names or PACKED_TOKENIZER in names:
        return True
    from gptcli.formats.tokenizer_json import reading

    return bool(reading.sources(names))


def open_directory(path: Path, called: str) -> ModelDir:
    """The directory as a model, its files unread. Raises ModelError where some are missing."""
    if not (path / CONFIG).is_file():
        raise ModelError(str(path), f"is not a model directory: it has no {CONFIG}")
    if not (path / index.NAME).exists():
        shards.require(path)
    return ModelDir(called, path, str(path))
