"""`/save` and `/load` of a chat: files, and sessions that go on here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from gptcli.chat import sessions
from gptcli.chat.kept_settings import adapters_of, steering_of
from gptcli.chat.sessions import Session
from gptcli.chat.talk import Talk
from gptcli.errors import InputError, UsageError
from gptcli.ui.terminal.messages import Messages
from gptcli.units import counted


def save(talk: Talk, messages: Messages, to: str) -> None:
    """Write the conversation to a file, or as a session; replaces nothing else.

    Raises UsageError, and the errors of writing.
    """
    if not to:
        raise UsageError("/save", "needs a file or the name of a session")
    if to == talk.keeping.name:
        messages.info(f"session {to} is kept after every turn")
        return
    if _is_file(to):
        path = Path(to).expanduser()
        _check_free(talk, to, path.exists, lambda: sessions.read_file(path))
        sessions.write_file(path, talk.as_session(path.stem))
        messages.info(f"saved to {to}")
    else:
        with sessions.held(to):
            _check_free(talk, to, lambda: sessions.exists(to), lambda: sessions.load(to))
            sessions.save(talk.as_session(to))
        messages.info(f"saved as session {to}")
    talk.saved()


def _check_free(
    talk: Talk, name: str, exists: Callable[[], bool], read: Callable[[], Session | None]
) -> None:
    """Raise UsageError where something is there that this conversation does not go on from."""
    if not exists():
        return
    try:
        found = read()
    except InputError:
        found = None
    begin = None if found is None else found.messages
    if begin is None or talk.messages[: len(begin)] != begin:
        reason = "is there already and holds something else, so nothing was saved"
        raise UsageError(f"/save {name}", reason, "take another name")


def load(talk: Talk, messages: Messages, name: str) -> None:
    """Go on with the conversation of a file, or with a session. Raises UsageError, InputError."""
    if not name:
        raise UsageError("/load", "needs a file or the name of a session")
    before = talk.keeping.name
    if talk.unsaved:
        reason = "what was said here is kept nowhere"
        raise UsageError(f"/load {name}", reason, "/save NAME keeps it, /clear forgets it")

    def go_on(session: Session) -> None:
        _go_on(talk, messages, session)

    if _is_file(name):
        go_on(sessions.read_file(Path(name).expanduser()))
        talk.keeping.close()
        where = "; from here on it is not kept" if before else ""
    elif name == before:
        raise UsageError(f"/load {name}", "is the session that goes on here")
    else:
        if not sessions.exists(name):
            raise UsageError(f"/load {name}", "there is no such session")
        talk.keeping.open(name, go_on)
        where = f"; session {name} goes on here"
    if before:
        where += f", {before} stays as it was"
    messages.info(f"loaded {counted(len(talk.messages), 'message')}{where}")


def _go_on(talk: Talk, messages: Messages, session: Session) -> None:
    """With the model, adapters and control vectors that are here, whatever it was held with."""
    keeping, adapters, steering = talk.keeping, adapters_of(session), steering_of(session)
    talk.go_on(session)
    if session.model not in ("", keeping.model, talk.model):
        messages.hint(f"session {session.name}: was held with {session.model} until now")
    elif adapters != keeping.adapters:
        messages.hint(f"session {session.name}: was held with other adapters until now")
    elif steering != keeping.steering:
        messages.hint(f"session {session.name}: was steered otherwise until now")


def _is_file(text: str) -> bool:
    """Whether a word of /save or /load is a path; a session's name has nothing of one."""
    ends = (".json", *sessions.MARKDOWN)
    return "/" in text or "\\" in text or text.startswith("~") or text.lower().endswith(ends)
