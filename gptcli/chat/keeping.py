"""Under which name a conversation is kept, if any: after every turn, and by us alone."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime

from gptcli.chat import sessions
from gptcli.chat.kept_settings import settings_of
from gptcli.chat.sessions import Session
from gptcli.errors import UsageError
from gptcli.types.chat import ChatRequest
from gptcli.types.models import AdapterRef, SteerRef


class Keeping:
    """Keeps a conversation, held with a model and what is added to it, in the session that is open,
    if any.

    model: by a name that holds wherever the session goes on. `name` is that of the session.
    """

    def __init__(self, model: str = "", adapters: tuple[AdapterRef, ...] = ()) -> None:
        self.held_with(model, adapters, ())
        self.name: str | None = None
        self._created: str | None = None
        self._held = ExitStack()

    def held_with(
        self, model: str, adapters: tuple[AdapterRef, ...], steering: tuple[SteerRef, ...]
    ) -> None:
        """What answers from here on."""
        self.model = model
        self.adapters = tuple(replace(each, path=each.path.absolute()) for each in adapters)
        self.steering = tuple(replace(each, path=each.path.absolute()) for each in steering)

    def open(self, name: str, take: Callable[[Session], None] | None = None) -> Session | None:
        """Go on with a session, which is ours alone from here on; None for a new one.

        take: is given the session before the one that was open is left, which stays as it is; then
        the session has to be there. Raises the errors of `sessions.held`, of `load` and of `take`,
        and UsageError; then nothing has changed.
        """
        with ExitStack() as held:
            held.enter_context(sessions.held(name))
            found = sessions.load(name)
            if take is not None:
                if found is None:
                    raise UsageError(f"session {name}", "there is no such session")
                take(found)
            self.close()
            self._held = held.pop_all()
        self.name, self._created = name, found.created if found else None
        return found

    def close(self) -> None:
        """Leave the session; what is said from here on is not kept."""
        self.name = self._created = None
        self._held.close()

    def keep(self, request: ChatRequest, answers: int) -> bool:
        """Durably: when this returns, the new state is on the disk; False where none is open."""
        if self.name is None:
            return False
        session = self.session(self.name, request, answers, created=self._created)
        self._created = session.created
        sessions.save(session)
        return True

    def session(
        self, name: str, request: ChatRequest, answers: int, *, created: str | None = None
    ) -> Session:
        """The conversation as it stands, under a name; `created` is None for a new one."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        return Session(
            name=name,
            model=self.model,
            created=created or now,
            updated=now,
            messages=request.messages,
            settings=settings_of(request, answers, self.adapters, self.steering),
        )
