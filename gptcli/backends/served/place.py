"""Where servers of ours are found: a directory of this user's alone, a socket for each.

A socket's name is a digest of all that an answer depends on but the files: this gptcli, the model's
name and the settings as they were asked for, and what a name means here. So there is one server for
each of these, and whoever asks for the same finds it without looking anything up. Whether the files
are still those, the server's greeting tells (`standing`).
"""

from __future__ import annotations

import os
import stat
from dataclasses import replace
from pathlib import Path

import gptcli
from gptcli import config
from gptcli.errors import ResourceError
from gptcli.types.compute import DEFAULT_MODEL, Compute

_END = ".sock"
#: What decides where models are found, and how torch and OpenMP compute.
_VARIABLES = (
    *("HOME", "XDG_CACHE_HOME", "HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"),
    *("OLLAMA_MODELS", "LMSTUDIO_HOME", "LLAMA_CACHE"),
    *("CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS"),
)
#: Bytes of a socket's path that every system takes.
_LONGEST = 103


def directory() -> Path:
    """Where sockets are, whether it exists or not."""
    given = os.environ.get("XDG_RUNTIME_DIR", "")
    if Path(given).is_absolute():
        return Path(given) / "gptcli"
    import tempfile

    return Path(tempfile.gettempdir()) / f"gptcli-{os.geteuid()}"


def socket_of(compute: Compute) -> Path | None:
    """The socket that a server for this would have; None where there can be none."""
    place = directory() if hasattr(os, "geteuid") else None
    if place is None or not _is_ours_alone(place):
        return None
    return place / f"{name_of(compute)}{_END}"


def sockets() -> list[Path]:
    """All that there are; what listens at them is another question."""
    place = directory()
    return sorted(place.glob(f"*{_END}")) if _is_ours_alone(place) else []


def make(compute: Compute, number: int = 1) -> Path:
    """The same for a server that is about to be one. Raises ResourceError.

    number: of several that serve the same; who looks for one finds the first.
    """
    place = directory()
    if not hasattr(os, "geteuid"):
        raise ResourceError("server", "this system has no sockets of one user alone")
    try:
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ResourceError(str(place), error.strerror or str(error)) from None
    if not _is_ours_alone(place):
        raise ResourceError(str(place), "is not a directory that is yours alone")
    which = f"-{number}" if number > 1 else ""
    found = place / f"{name_of(compute)}{which}{_END}"
    if len(os.fsencode(found)) > _LONGEST:
        hint = "XDG_RUNTIME_DIR says where"
        raise ResourceError(str(found), "is too long a name for a socket", hint)
    return found


def name_of(compute: Compute) -> str:
    """What stands for a gptcli, a model and settings, as 16 hex digits."""
    import hashlib
    import json

    from gptcli.formats import wire

    asked = replace(
        compute,
        activations=compute.met_as,
        exact_activations=None,
        speculate="auto",
        draft=None,
        draft_dtype="auto",
        no_server=False,
        by_hand=frozenset(),
        base_url=None,
        api_key_file=None,
        timeout=None,
    )
    said = [
        gptcli.__version__,
        str(Path(__file__).parents[2]),
        wire.encode(asked),
        str(config.data_dir()),
        [os.environ.get(name) for name in _VARIABLES],
        _here(compute),
    ]
    text = json.dumps(said)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _here(compute: Compute) -> str | None:
    """The working directory, where a name in the settings means something in it."""
    files = compute.added
    files += [compute.calibration] if compute.calibration is not None else []
    if all(path.is_absolute() for path in files) and not _means_a_file(compute.model):
        return None
    return str(Path.cwd())


def _means_a_file(model: str) -> bool:
    if model == DEFAULT_MODEL:
        return False
    from gptcli.models import aliases

    try:
        return model not in aliases.names() and Path(model).expanduser().exists()
    except (OSError, RuntimeError, ValueError):
        return False


def _is_ours_alone(place: Path) -> bool:
    try:
        said = place.lstat()
    except OSError:
        return False
    ours = said.st_uid == os.geteuid() and not said.st_mode & 0o077
    return ours and stat.S_ISDIR(said.st_mode)
