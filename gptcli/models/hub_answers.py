"""A hub's answers, typed before they are believed; none of them names a place outside the cache.

The server may be a mirror, a proxy or anybody. huggingface_hub takes the fields of its JSON as they
come, and joins headers of its answers to directories of the cache.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from gptcli.errors import NetworkError
from gptcli.models.hub_cache import Repo

#: What a large file's ETag is.
SHA256 = re.compile(r"[0-9a-f]{64}")
_COMMIT = re.compile(r"[0-9a-f]{40}")
#: What the library makes names of files and directories from, whatever it asked for.
_HEADERS = ("X-Linked-Etag", "X-Repo-Commit", "X-Xet-Hash")
#: An ETag may be weak, and stands in quotes.
_PLAIN = re.compile(r'(W/)?"?(?!\.)[A-Za-z0-9._+=:-]{1,200}"?')
TIMEOUT_SECONDS = 10
_LICENCE = "license:"
#: Of what is only shown: letters of a word, and how many of anything there can be.
_LONGEST, _MOST = 100, 1 << 60


@dataclass(frozen=True)
class Facts:
    """What the hub says of a model, None where it does not, or says what cannot be.

    family: the model_type in config.json; method: how that says the weights are quantised;
    architecture: a GGUF file's; parameters: how many numbers its weights are.
    """

    family: str | None
    method: str | None
    architecture: str | None
    parameters: int | None
    downloads: int | None
    licence: str | None
    gated: bool


@dataclass(frozen=True)
class Listing:
    """A commit's files with their sizes in bytes (None: the hub did not say).

    digests: the SHA-256 of those that are large.
    """

    commit: str
    files: dict[str, int | None]
    digests: dict[str, str]
    facts: Facts


def listing(repo: Repo) -> Listing:
    """What the hub says is in a repository at its revision.

    Raises NetworkError for an answer that is none, and the library's own errors.
    """
    from huggingface_hub import HfApi

    with understood(repo):
        info: Any = HfApi().model_info(
            repo.id, revision=repo.revision, files_metadata=True, timeout=TIMEOUT_SECONDS
        )
        commit = info.sha
        siblings = list(info.siblings or [])
        files = {entry.rfilename: entry.size for entry in siblings}
        told = {entry.rfilename: str(getattr(entry.lfs, "sha256", "")) for entry in siblings}
    if commit is None:
        raise NetworkError(str(repo), "the hub's answer names no commit")
    if not isinstance(commit, str) or not _COMMIT.fullmatch(commit):
        raise _strange(repo, f"{commit!r:.60} is no commit")
    for name, size in files.items():
        if not isinstance(name, str):
            raise _strange(repo, f"{name!r:.60} is no name of a file")
        if size is not None and (isinstance(size, bool) or not isinstance(size, int) or size < 0):
            raise _strange(repo, f"{name} has {size!r:.60} bytes")
    digests = {name: each for name, each in told.items() if SHA256.fullmatch(each)}
    return Listing(commit, files, digests, facts_of(info))


def facts_of(info: Any) -> Facts:
    """The facts in what the library makes of the hub's answer."""
    config, gguf = _object(info.config), _object(info.gguf)
    quantised = _object(config.get("quantization_config"))
    weights = getattr(info.safetensors, "total", None)
    tags = info.tags if isinstance(info.tags, list) else []
    licences = [tag[len(_LICENCE) :] for tag in tags if str(tag).startswith(_LICENCE)]
    return Facts(
        family=_text(config.get("model_type")),
        method=_text(quantised.get("quant_method")),
        architecture=_text(gguf.get("architecture")),
        parameters=_count(gguf.get("total")) or _count(weights),
        downloads=_count(info.downloads),
        licence=_text(licences[0]) if licences else None,
        gated=bool(info.gated),
    )


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and 0 < len(value) <= _LONGEST else None


def _count(value: object) -> int | None:
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    return value if 0 <= value <= _MOST else None


@contextmanager
def understood(subject: Repo | str) -> Generator[None, None, None]:
    """Raises NetworkError where the library stumbles over an answer of another shape."""
    try:
        yield
    except (AttributeError, IndexError, KeyError, RecursionError, TypeError) as error:
        raise _strange(subject, f"{type(error).__name__}: {error!s:.100}") from error


def prepare() -> None:
    """From here on an answer with a header that could lead out of the cache is an error.

    And the library says nothing itself: its warnings would mix with our progress.
    """
    import logging

    from huggingface_hub import get_session

    # The library sets its level when this is first imported.
    importlib.import_module("huggingface_hub.utils.logging")
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    hooks = get_session().event_hooks["response"]
    if _check not in hooks:
        hooks.append(_check)


def _check(response: Any) -> None:
    """A hook of the HTTP client. Raises NetworkError."""
    names = list(_HEADERS)
    # That of a file, which is asked for by its head; any other is the server's own affair.
    if response.request.method == "HEAD" and "X-Linked-Etag" not in response.headers:
        names.append("ETag")
    for name in names:
        value = response.headers.get(name)
        if value and not _PLAIN.fullmatch(value):
            raise NetworkError(str(response.request.url.host), f"sends {name}: {value!r:.100}")


def _strange(subject: Repo | str, what: str) -> NetworkError:
    return NetworkError(str(subject), f"the hub's answer cannot be understood: {what}")
