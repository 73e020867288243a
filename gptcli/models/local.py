"""A model directory that the user made: what has to be in it."""

from __future__ import annotations

from pathlib import Path

from gptcli.errors import ModelError
from gptcli.types import ModelDir

CONFIG = "config.json"
TOKENIZER = "tokenizer.json"
WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
PICKLES = (".bin", ".pt", ".pth", ".ckpt")
#: Said wherever pickled weights are all there is.
NO_PICKLES = "has only pickled weights, which are not loaded since they can run code"
CONVERT_HINT = "convert them to safetensors"


def open_directory(path: Path, called: str) -> ModelDir:
    """The directory as a model, its files unread. Raises ModelError where some are missing."""
    if not (path / CONFIG).is_file():
        raise ModelError(str(path), f"is not a model directory: it has no {CONFIG}")
    if not has_weights(path):
        try:
            pickled = any(entry.suffix in PICKLES for entry in path.iterdir())
        except OSError as error:
            raise ModelError(str(path), f"cannot be read: {error.strerror}") from None
        if pickled:
            raise ModelError(str(path), NO_PICKLES, CONVERT_HINT)
        raise ModelError(str(path), f"has no weights: neither {WEIGHTS} nor {INDEX}")
    return ModelDir(called, path, str(path))


def has_weights(path: Path) -> bool:
    """Whether there are safetensors weights, in one file or with an index."""
    return (path / WEIGHTS).is_file() or (path / INDEX).is_file()
