"""What a model's name means.

1. A short name from `aliases.py`: `smollm2`, `gpt2`, … It wins over a directory of that name;
   `./gpt2` names the directory.
2. A model that gptcli keeps, as `models list` shows it: `gguf-mymodel-1a2b3c4d`.
3. `ollama:NAME`, `lmstudio:NAME` or `llama.cpp:NAME`: a model that another tool keeps, as `models
   list --all` shows it. A colon before any slash is in no name of the hub, so that these collide
   with none: `ollama/llama3` could be a repository. After `ollama:` stands what ollama itself
   takes (`llama3.2:1b`, `hf.co/org/name:Q4_K_M`), after the others a path in their folder.
4. A path: a directory with config.json and safetensors, or a GGUF file, which its first bytes
   tell, whatever its name. What looks like a path
   (begins with `.`, `/` or `~`, ends in `.gguf`, has more than one `/`) is only something else
   where it is a name of the hub with all that belongs to one.
5. `org/name` on the Hugging Face hub, `org/name@revision`, and of a repository of GGUF files
   `org/name:VARIANT`, with a revision `org/name@revision:VARIANT`. A variant is the name of a
   quantisation in whatever case (`Q4_K_M`), or of a file (`name-Q4_K_M.gguf`, `sub/name.gguf`).
   Without one, safetensors are meant, else the file that llama.cpp takes. `hf.co/` or
   `huggingface.co/` may stand before it, and ollama's `:latest` is no variant.
"""

from __future__ import annotations

from pathlib import Path

from gptcli.errors import ModelError
from gptcli.formats.gguf import header
from gptcli.models import aliases, hub_cache, other_stores, store
from gptcli.models.aliases import WheelModel
from gptcli.models.hub_cache import Repo
from gptcli.models.other_stores import Store
from gptcli.plain import dataclass

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


@dataclass(frozen=True)
class Foreign:
    """A model that another tool keeps, by its name in that tool's store."""

    store: Store
    name: str


Reference = Wheel | Managed | Directory | Gguf | Repo | Foreign


def resolve(name: str) -> Reference:
    """What `name` refers to; nothing is fetched. Raises ModelError for a name that is nothing."""
    if name in aliases.WHEEL_ALIASES:
        return Wheel(name, aliases.WHEEL_ALIASES[name])
    if name in aliases.HUB_ALIASES:
        return Repo(aliases.HUB_ALIASES[name])
    if name in store.names():
        return Managed(name)
    prefix, colon, rest = name.partition(":")
    if colon and prefix in other_stores.BY_PREFIX:
        return Foreign(other_stores.BY_PREFIX[prefix], rest)
    path = _path(name)
    if path is not None:
        return path
    repo = hub_cache.parse(name)
    if repo is not None:
        return repo
    raise _unknown(name)


def _path(name: str) -> Directory | Gguf | None:
    repo = hub_cache.parse(name)
    # A revision may have slashes of its own, org/name@refs/pr/1, and a variant can be a file.
    looks = name.startswith((".", "/", "~")) or (repo is None and name.count("/") > 1)
    looks = looks or (name.lower().endswith(_SUFFIX) and not (repo and repo.variant))
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
    import difflib

    known = dict.fromkeys([*aliases.names(), *store.names(), *hub_cache.repos()])
    close = difflib.get_close_matches(name, known, n=3)
    if close:
        return ModelError(name, "unknown model", f"did you mean {' or '.join(close)}?")
    short = ", ".join(aliases.names())
    return ModelError(
        name, "unknown model", f"known: {short}; or org/name on the hub, a directory, a .gguf file"
    )
