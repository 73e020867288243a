"""Where gptcli's own files are."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import platformdirs

from gptcli.errors import UsageError


def user_file() -> Path:
    """Where the user's settings file is, whether it exists or not."""
    with _home("XDG_CONFIG_HOME"):
        return Path(platformdirs.user_config_dir("gptcli", appauthor=False)) / "config.toml"


def data_dir() -> Path:
    """Where gptcli keeps what it makes: `GPTCLI_DATA_DIR`, else the user's data directory."""
    given = os.environ.get("GPTCLI_DATA_DIR")
    with _home("GPTCLI_DATA_DIR"):
        if given:
            return Path(given).expanduser().absolute()
        return Path(platformdirs.user_data_dir("gptcli", appauthor=False))


def packed_dir() -> Path:
    """Where weights are kept as the CPU kernels want them, whether it exists or not."""
    return data_dir() / "packed"


def packed_weights(directory: Path) -> Path:
    """Where a model directory's weights are kept as the CPU kernels want them, less the dtype."""
    digest = hashlib.sha256(str(directory.resolve()).encode()).hexdigest()[:16]
    return packed_dir() / f"{directory.name}-{digest}"


def kept_tokenizer(directory: Path) -> Path:
    """Where a model directory's tokenizer is kept as it opens fast: beside its packed weights."""
    place = packed_weights(directory)
    return place.with_name(f"{place.name}.tokenizer")


def prompts_dir() -> Path:
    """Where `--prompt-cache auto` keeps what was computed of prompts, whether it exists or not."""
    return data_dir() / "prompts"


@contextmanager
def _home(variable: str) -> Iterator[None]:
    """Without HOME, or for a `~user` who is not there, Python raises RuntimeError."""
    try:
        yield
    except RuntimeError:
        raise UsageError(
            variable, "there is no home directory", f"set HOME or {variable}"
        ) from None
