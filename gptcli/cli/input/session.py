"""With what a kept conversation goes on."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from gptcli.backends import ECHO
from gptcli.chat import sessions
from gptcli.chat.kept_settings import adapters_of, steering_of
from gptcli.chat.sessions import Session
from gptcli.cli.flags.chat import Chat
from gptcli.errors import GptcliError, UsageError
from gptcli.types.compute import Compute
from gptcli.ui.terminal.messages import Messages


def session_of(chatting: Chat) -> str | None:
    """The name of the conversation that goes on, or begins to be kept; None for one that is not.

    Raises UsageError where none was ever kept.
    """
    if not chatting.latest:
        return chatting.session
    if chatting.session is not None:
        raise UsageError("--continue", "cannot be combined with --session")
    found = sessions.latest()
    if found is None:
        hint = "gptcli chat --session NAME keeps one"
        raise UsageError("--continue", "there is no kept conversation yet", hint)
    return found


def lasting(model: str) -> str:
    """The model's name as it holds from any directory."""
    if model == ECHO:
        return model
    from gptcli.models.resolve import Directory, Gguf, resolve

    try:
        found = resolve(model)
    except GptcliError:
        # Told when it is opened.
        return model
    return str(found.path) if isinstance(found, Directory | Gguf) else model


def goes_on(
    compute: Compute, session: Session, said: Collection[str], messages: Messages
) -> Compute:
    """With the session's model and what is added to it, where nobody said otherwise."""
    if "model" not in said and session.model:
        compute = replace(compute, model=session.model)
    elif session.model not in ("", compute.model, lasting(compute.model)):
        messages.hint(f"session {session.name}: was held with {session.model} until now")
        return compute
    if "adapter" not in said:
        compute = replace(compute, adapter=adapters_of(session))
    if "steer" not in said:
        compute = replace(compute, steer=steering_of(session))
    return compute
