"""What goes wrong between here and a server, each as one line that shows no key."""

from __future__ import annotations

import re
import socket
import ssl
from typing import Any

from gptcli.backends.place import KEY, Place
from gptcli.errors import ContextError, GptcliError, ModelError, NetworkError

_LONGEST = 300
#: In how many ways servers say that a prompt does not fit.
_TOO_LONG = re.compile(
    r"context[ _](length|size|window)|maximum context|more than the context|max_model_len"
    r"|too (long|many tokens)",
    re.I,
)


def broken(place: Place, what: str, hint: str | None = None) -> NetworkError:
    """The error for an answer that is none."""
    return NetworkError(place.url, what, hint)


def failure(error: Exception, place: Place) -> GptcliError:
    """Ours for an error of the client; others are raised again, as they are bugs."""
    import openai

    if isinstance(error, openai.APIStatusError):
        return _refusal(error, place)
    if isinstance(error, openai.APITimeoutError):
        return broken(place, f"nothing came for {place.timeout:g} s", "--timeout waits longer")
    if isinstance(error, openai.APIConnectionError):
        return broken(place, _unreached(error))
    if isinstance(error, openai.APIError):
        return broken(place, f"broke off: {said(error.message, place)}")
    if isinstance(error, openai.OpenAIError):
        return broken(place, said(str(error), place))
    if isinstance(error, UnicodeEncodeError):
        return broken(place, "cannot be asked: a header is no plain text")
    if isinstance(error, ValueError | RecursionError):
        return broken(place, "sent what is not valid JSON")
    return broken(place, f"broke off: {said(str(error) or type(error).__name__, place)}")


def said(text: object, place: Place) -> str:
    """What a server said, on one line, without control characters and without the key."""
    shown = str(text)[: 20 * _LONGEST]
    shown = place.key.hidden_in(shown) if place.key else shown
    shown = " ".join("".join(c if c.isprintable() else " " for c in shown).split())
    return shown if len(shown) <= _LONGEST else f"{shown[: _LONGEST - 1]}…"


def _refusal(error: Any, place: Place) -> GptcliError:
    """For a status that is no success."""
    status, why = error.status_code, said(_message(error), place)
    told = f": {why}" if why else ""
    if status in (401, 403):
        hint = f"it is in {KEY}, --api-key-file or the endpoint's table"
        what = "does not take the key" if place.key else "asks for a key"
        return broken(place, f"{what} ({status}){told}", hint)
    if status == 404 and re.search(r"model", why, re.I):
        hint = f"gptcli models list --base-url {place.url}"
        return ModelError(place.name, f"is no model of {place.url} (404){told}", hint)
    if status == 404:
        return broken(place, f"has no such thing (404){told}", "a base URL mostly ends in /v1")
    if status in (400, 413, 422) and _TOO_LONG.search(why):
        return ContextError("prompt", f"{place.url} says: {why}")
    if 300 <= status < 400:
        return broken(place, f"sends on to another place ({status}), which was not asked")
    if status == 429:
        return broken(place, f"has too much to do, or enough of you (429){told}")
    if status >= 500:
        return broken(place, f"failed ({status}){told}")
    return broken(place, f"refuses this ({status}){told}")


def _message(error: Any) -> object:
    """The message in an error's body, wherever the server has it."""
    body = error.body
    if isinstance(body, dict):
        inner = body.get("error", body)
        found = inner.get("message", inner.get("detail")) if isinstance(inner, dict) else inner
        return found if isinstance(found, str) else ""
    return body if isinstance(body, str) and not body.lstrip().startswith("<") else ""


def _unreached(error: BaseException) -> str:
    """Why no connection came about, by what is at the bottom of it."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, ssl.SSLCertVerificationError):
            return f"cannot be trusted: {seen.verify_message}"
        if isinstance(seen, ssl.SSLError):
            return f"cannot be reached over TLS: {seen.reason or seen}"
        if isinstance(seen, socket.gaierror):
            return f"cannot be reached: {seen.strerror}"
        if isinstance(seen, OSError) and seen.strerror:
            return f"cannot be reached: {seen.strerror}"
        bottom, seen = seen, seen.__cause__ or seen.__context__
    if "ProtocolError" in type(bottom).__name__:
        return f"broke off: {bottom}"
    return f"cannot be reached: {bottom}"
