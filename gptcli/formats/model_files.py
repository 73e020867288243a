"""What a model directory's own files say, each read once, before anything is made of it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from gptcli.errors import ModelError
from gptcli.formats import json as jsonfile
from gptcli.formats import quantization
from gptcli.formats.gguf import index
from gptcli.formats.safetensors import stored
from gptcli.formats.stored import StoredFiles
from gptcli.plain import dataclass

CONFIG = "config.json"
#: The tokenizer, and what gzip makes of it: of a large one that gptcli makes, a third.
TOKENIZER = "tokenizer.json"
PACKED_TOKENIZER = "tokenizer.json.gz"


@dataclass(frozen=True)
class ModelFiles:
    """config: the object in config.json, see also `quantization.with_modelopt`."""

    directory: Path
    config: Mapping[str, Any]

    @cached_property
    def stored(self) -> StoredFiles:
        """The weights, of which the headers are read when they are first asked for.

        So config.json alone is enough to refuse a model. Raises ModelError as `stored.read`, or as
        `index.read` where they are in GGUF files.
        """
        if (self.directory / index.NAME).exists():
            return index.read(self.directory)
        return stored.read(self.directory)


def read(directory: Path) -> ModelFiles:
    """Raises ModelError for a directory without config.json, or with one that cannot be read."""
    path = directory / CONFIG
    if not path.exists():
        raise ModelError(str(directory), f"has no {CONFIG}, so it is not a model")
    return ModelFiles(directory, quantization.with_modelopt(directory, jsonfile.read(path)))
