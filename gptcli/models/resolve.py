"""What a model's name means.

1. A short name from `aliases.py`: `smollm2`, `gpt2`, … It wins over a directory of that name;
   `./gpt2` names the directory.
2. A model that gptcli keeps, as `models list` shows it: `gguf-mymodel-1a2b3c4d`.
3. A path: a directory with config.json and safetensors, or a GGUF file, which its first bytes
   tell, whatever its name. What looks like a path
   (begins with `.`, `/` or `~`, ends in `.gguf`, has more than one `/`) is never anything else.
4. `org/name` or `org/name@revision` on the Hugging Face hub.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path

from gptcli.errors import ModelError
from gptcli.formats.gguf import header
from gptcli.models import aliases, hub_cache, store
from gptcli.models.aliases import WheelModel
from gptcli.models.hub_cache import Repo

_SUFFIX = ".gguf"


@dataclass(frozen=True)
class Wheel:
    """A model that comes in a wheel."""

    name: str
    model: WheelModel


@dataclass(frozen=True)
class Managed:
    """A model that gptcli made earlier."""

    name: str


@dataclass(frozen=True)
class Directory:
    """A user's model directory."""

    path: Path


@dataclass(frozen=True)
class Gguf:
    """A user's .gguf file."""

    path: Path


Reference = Wheel | Managed | Directory | Gguf | Repo


def resolve(name: str) -> Reference:
    """What `name` refers to; nothing is fetched. Raises ModelError for a name that is nothing."""
    if name in aliases.WHEEL_ALIASES:
        return Wheel(name, aliases.WHEEL_ALIASES[name])
    if name in aliases.HUB_ALIASES:
        return Repo(aliases.HUB_ALIASES[name])
    if name in store.names():
        return Managed(name)
    path = _path(name)
    if path is not None:
        return path
    repo = hub_cache.parse(name)
    if repo is not None:
        return repo
    raise _unknown(name)


def _path(name: str) -> Directory | Gguf | None:
    looks = name.lower().endswith(_SUFFIX) or name.startswith((".", "/", "~"))
    # A revision may have slashes of its own: org/name@refs/pr/1.
    looks = looks or (name.count("/") > 1 and hub_cache.parse(name) is None)
    try:
        path = Path(name).expanduser()
        if name and path.is_dir():
            return Directory(path.absolute())
        if name and path.exists():
            if path.suffix.lower() == _SUFFIX or header.is_gguf(path):
                return Gguf(path.absolute())
            raise ModelError(name, "is neither a model directory nor a GGUF file")
    except (OSError, RuntimeError, ValueError) as error:
        # A name too long for a file, a home that is not known, a zero byte.
        if looks:
            raise ModelError(name, f"cannot be looked up: {error}") from None
        return None
    if looks:
        raise ModelError(name, "no such file or directory")
    return None


def _unknown(name: str) -> ModelError:
    known = dict.fromkeys([*aliases.names(), *store.names(), *hub_cache.repos()])
    close = difflib.get_close_matches(name, known, n=3)
    if close:
        return ModelError(name, "unknown model", f"did you mean {' or '.join(close)}?")
    short = ", ".join(aliases.names())
    return ModelError(
        name, "unknown model", f"known: {short}; or org/name on the hub, a directory, a .gguf file"
    )
