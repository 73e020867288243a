"""A conversation as a session that is kept, and back."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from gptcli import config
from gptcli.chat import sessions
from gptcli.chat.sessions import Session
from gptcli.chat.talk import Talk
from gptcli.errors import InputError
from gptcli.types.chat import ChatRequest
from gptcli.types.sampling import NUMBERS, SamplingWish


def as_session(name: str, talk: Talk) -> Session:
    """The conversation as it stands, under a name."""
    return kept(name, talk.model, talk.request, talk.answers, created=None)


def kept(
    name: str, model: str, request: ChatRequest, answers: int, *, created: str | None
) -> Session:
    """A session of these messages; `created` is None for a new one.

    The seed that is kept is that of the next answer.
    """
    now = datetime.now(UTC).isoformat(timespec="seconds")
    settings: dict[str, object] = {
        field: value for field in NUMBERS if (value := getattr(request.sampling, field)) is not None
    }
    return Session(
        name=name,
        model=model,
        created=created or now,
        updated=now,
        messages=request.messages,
        settings=settings | {"seed": (request.seed + answers) % 2**32},
    )


def restored(request: ChatRequest, session: Session) -> ChatRequest:
    """The request with the messages and the sampling settings of a session.

    Settings that the request has already outweigh those of the session. Raises InputError for
    settings that cannot be.
    """
    found: dict[str, object] = {}
    for field in NUMBERS:
        if field in session.settings and getattr(request.sampling, field) is None:
            try:
                found[field] = config.check(SamplingWish, field, session.settings[field])
            except ValueError as error:
                raise InputError(f"session {session.name}", f"{field} {error}") from None
    sampling = replace(request.sampling, **found)  # type: ignore[arg-type]
    return replace(request, sampling=sampling, messages=session.messages)


class Keeper:
    """Saves a conversation under a name whenever it has changed."""

    def __init__(self, name: str, model: str, created: str | None) -> None:
        self._name, self._model, self._created = name, model, created

    def __call__(self, request: ChatRequest, answers: int) -> None:
        """Durably: when this returns, the new state is on the disk."""
        session = kept(self._name, self._model, request, answers, created=self._created)
        self._created = session.created
        sessions.save(session)
