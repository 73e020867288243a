"""A hub's answers, typed before they are believed; none of them names a place outside the cache.

The server may be a mirror, a proxy or anybody. huggingface_hub takes the fields of its JSON as they
come, and joins headers of its answers to directories of the cache.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from gptcli.errors import NetworkError
from gptcli.models.hub_cache import Repo

_COMMIT = re.compile(r"[0-9a-f]{40}")
#: What the library makes names of files and directories from, whatever it asked for.
_HEADERS = ("X-Linked-Etag", "X-Repo-Commit", "X-Xet-Hash")
#: An ETag may be weak, and stands in quotes.
_PLAIN = re.compile(r'(W/)?"?(?!\.)[A-Za-z0-9._+=:-]{1,200}"?')
TIMEOUT_SECONDS = 10


@dataclass(frozen=True)
class Listing:
    """A commit's files with their sizes in bytes (None: the hub did not say)."""

    commit: str
    files: dict[str, int | None]


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
        files = {entry.rfilename: entry.size for entry in info.siblings or []}
    if commit is None:
        raise NetworkError(str(repo), "the hub's answer names no commit")
    if not isinstance(commit, str) or not _COMMIT.fullmatch(commit):
        raise _strange(repo, f"{commit!r:.60} is no commit")
    for name, size in files.items():
        if not isinstance(name, str):
            raise _strange(repo, f"{name!r:.60} is no name of a file")
        if size is not None and (isinstance(size, bool) or not isinstance(size, int) or size < 0):
            raise _strange(repo, f"{name} has {size!r:.60} bytes")
    return Listing(commit, files)


@contextmanager
def understood(repo: Repo) -> Generator[None, None, None]:
    """Raises NetworkError where the library stumbles over an answer of another shape."""
    try:
        yield
    except (AttributeError, IndexError, KeyError, RecursionError, TypeError) as error:
        raise _strange(repo, f"{type(error).__name__}: {error!s:.100}") from error


def guard() -> None:
    """From here on an answer with a header that could lead out of the cache is an error."""
    from huggingface_hub import get_session

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


def _strange(repo: Repo, what: str) -> NetworkError:
    return NetworkError(str(repo), f"the hub's answer cannot be understood: {what}")
