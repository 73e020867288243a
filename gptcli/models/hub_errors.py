"""What huggingface_hub raises, as one line each of ours."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from gptcli.errors import GptcliError, ModelError, NetworkError, ResourceError
from gptcli.models import disk, hub_cache
from gptcli.models.hub_cache import Repo
from gptcli.types.compute import DEFAULT_MODEL

_HINT = f"connect to the network, use the built-in {DEFAULT_MODEL}, or name a local model directory"


@contextmanager
def translated(subject: Repo | str) -> Generator[None, None, None]:
    """Raises the library's errors in the block as ModelError, NetworkError or ResourceError.

    subject: the repository that is asked about, or what else is asked.
    """
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    # The HTTP library under huggingface_hub has changed its name; this is its root of errors.
    http_error: Any = HfHubHTTPError.__bases__[0]
    try:
        yield
    except GptcliError:
        raise
    except (HFValidationError, http_error, OSError, ValueError) as error:
        raise explain(subject, error) from error


def explain(subject: Repo | str, error: BaseException) -> GptcliError:
    """The error of ours that says what `error` means for the user."""
    from huggingface_hub import errors as hub

    name = str(subject)
    if isinstance(error, hub.LocalEntryNotFoundError) and error.__cause__ is not None:
        return explain(subject, error.__cause__)
    if isinstance(error, hub.OfflineModeIsEnabled):
        return _offline(subject)
    if isinstance(error, hub.GatedRepoError):
        hint = "accept its licence on the hub, then set HF_TOKEN"
        return NetworkError(name, "is gated: its licence must be accepted first", hint)
    if isinstance(error, hub.RepositoryNotFoundError):
        return ModelError(
            name, "is not on the hub, or is private", "for a private one set HF_TOKEN"
        )
    if isinstance(error, hub.RevisionNotFoundError) and isinstance(subject, Repo):
        return ModelError(name, f"has no revision {subject.revision!r}")
    if isinstance(error, hub.HFValidationError):
        return ModelError(name, "is not a valid name of a repository")
    if isinstance(error, hub.HfHubHTTPError):
        return _refused(name, error.response.status_code)
    if isinstance(error, OSError) and error.errno and not isinstance(error, ConnectionError):
        if disk.full(error):
            return ResourceError(str(error.filename or name), "the disk is full")
        if error.filename:
            return ResourceError(str(error.filename), error.strerror or str(error))
    if isinstance(error, OSError) and "onsistency check" in str(error):
        return NetworkError(name, "the download broke off or was altered", "try again")
    said = " ".join(str(error).split()) or type(error).__name__
    return NetworkError(name, f"the hub cannot be reached: {said[:200]}", _HINT)


def _offline(subject: Repo | str) -> GptcliError:
    if isinstance(subject, str):
        return NetworkError(subject, "HF_HUB_OFFLINE forbids to ask the hub", "unset it")
    here = ", ".join(f"{subject.id}:{each.name}" for each in hub_cache.gguf(subject))
    hint = f"unset it; {here} is here" if here else "unset it"
    return NetworkError(
        str(subject), "is not on this disk, and HF_HUB_OFFLINE forbids to fetch it", hint
    )


def _refused(name: str, status: int) -> GptcliError:
    if status in (401, 403):
        return NetworkError(name, "the hub denies access", "check HF_TOKEN")
    if status == 429:
        return NetworkError(name, "the hub limits the rate of requests", "wait, or set HF_TOKEN")
    return NetworkError(name, f"the hub answered with status {status}", "try again later")
