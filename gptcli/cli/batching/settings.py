"""What a batch is run with, of all that changes an answer: to be told apart from another run's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from gptcli.backends import ECHO, is_elsewhere
from gptcli.batches.keys import digest
from gptcli.config import key_of, options_of
from gptcli.errors import GptcliError
from gptcli.types.compute import DRAFTING, Compute
from gptcli.types.models import AdapterRef, SteerRef

#: How fast it runs, where, and who may ask, not what it says; the seed of a run has a place of its
#: own.
_WITHOUT_EFFECT = frozenset(
    ("threads", *DRAFTING, "no_server", "seed", "api_key_file", "timeout", "show_thinking")
)
#: What is told by its name.
_NAMED = (AdapterRef, SteerRef)
#: What flags call it, where that is not the field's name.
_FLAGS = {"choices": "choice", "examples": "example", "labels": "label"}


def settings_of(command: str, groups: Sequence[Any], more: dict[str, Any]) -> dict[str, Any]:
    """The command and its options by their flags, as JSON has them; None where nothing was said."""
    found: dict[str, Any] = {"command": command}
    for group in groups:
        for field, _ in options_of(type(group)):
            if field.name not in _WITHOUT_EFFECT:
                found[f"--{key_of(field.name)}"] = _plain(getattr(group, field.name))
    return found | more


def said_by(request: Any, *but: str) -> dict[str, Any]:
    """What a request says that holds for all rows, by its flags; `but`: fields that it does not.

    Values of several fields, as a form is, are told by a digest.
    """
    return {
        f"--{_FLAGS.get(field.name) or key_of(field.name)}": _plain(getattr(request, field.name))
        for field in fields(request)
        if field.name not in but
    }


def content(compute: Compute) -> list[str]:
    """Digests of the model's files, of its adapters' and of control vectors, where they are on this
    disk.
    """
    if compute.model == ECHO or is_elsewhere(compute):
        return []
    from gptcli import models
    from gptcli.models.content import content_of

    try:
        found = models.find(compute.model)
    except GptcliError:
        # No name of a model here: of another place.
        found = None
    places = [] if found is None else [found.path]
    return [content_of(place) for place in (*places, *compute.added)]


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        if any(map(is_dataclass, value)) and not isinstance(value[0], _NAMED):
            return digest(value)
        return [_plain(each) for each in value]
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, _NAMED):
        return value.name
    return digest(value) if is_dataclass(value) else value
