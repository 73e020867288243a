"""Named endpoints of the user's file: servers that answer in OpenAI's language.

    [endpoint.work]
    base-url = "https://llm.example.org/v1"
    api-key-env = "WORK_KEY"
    model = "llama-3.3-70b"

`-m work/NAME` asks that server for the model NAME, `-m work` for the one in the table.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from gptcli.config.option import key_of
from gptcli.config.tables import Table, tables_of
from gptcli.errors import UsageError
from gptcli.plain import dataclass

#: The table of the user's file that holds a table for each endpoint.
TABLE = "endpoint"


@dataclass(frozen=True)
class Endpoint:
    """A server, as its table says. Seconds are of silence; None: what the place thinks best.

    api_key_file: a file with the key; api_key_env: the variable that has it. model: the one that
    `-m NAME` alone means. server: which program it is, where it does not say so itself. retries:
    how often what failed is asked again; concurrency: how many questions at once.
    """

    base_url: str
    api_key_file: Path | None = None
    api_key_env: str | None = None
    model: str | None = None
    server: str | None = None
    timeout: float | None = None
    retries: int | None = None
    concurrency: int | None = None


#: What clients ask below a base URL, and people copy with it.
_ASKED = ("/chat/completions", "/completions", "/models", "/embeddings", "/responses")


def checked_url(text: str) -> str:
    """A base URL without the slash at its end; `/v1` where it names no path.

    Raises ValueError, which shows nothing of it, for what cannot be asked over HTTP, or holds a
    user or a password.
    """
    try:
        parts = urlsplit(text)
        port_is_one = parts.port != 0
    except ValueError:
        raise ValueError("is no URL") from None
    if "//" not in text and (meant := _meant(text)) is not None:
        raise ValueError(f"has no http:// before it: {meant} would be a URL")
    if parts.scheme not in ("http", "https") or not parts.hostname or not port_is_one:
        raise ValueError("must be a URL as http://127.0.0.1:8000/v1 or https://… is")
    if not all(0 < len(label) < 64 for label in parts.hostname.removesuffix(".").split(".")):
        raise ValueError("must be a URL of a host that can be")
    if not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("must be a URL of plain characters, without spaces")
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        raise ValueError("must hold no user, password or query: a key comes from a file")
    path = parts.path.rstrip("/") or "/v1"
    asked = _asked(path)
    if asked:
        base = f"{parts.scheme}://{parts.netloc}{path.removesuffix(asked) or '/v1'}"
        raise ValueError(f"ends in {asked}, which is asked below a base URL: {base} is one")
    return f"{parts.scheme}://{parts.netloc}{path}"


def _asked(path: str) -> str:
    return next((each for each in _ASKED if path.endswith(each)), "")


def _meant(text: str) -> str | None:
    """A host, perhaps with a port and a path, as a URL."""
    if text.partition("/")[0].endswith(":"):
        return None
    try:
        return checked_url(f"http://{text.removesuffix(_asked(text))}")
    except ValueError:
        return None


def endpoints_of(said: object, path: Path) -> dict[str, Endpoint]:
    """The endpoints in the user's file at `path`, by name. Raises UsageError for what is none."""
    return {each.name: _endpoint(each) for each in tables_of(said, TABLE, "work", path)}


def _endpoint(table: Table) -> Endpoint:
    subject = table.subject
    values: dict[str, Any] = {}
    for key, value in table.values.items():
        field = key.replace("-", "_")
        if field not in _CHECKS:
            known = ", ".join(key_of(each.name) for each in fields(Endpoint))
            raise UsageError(subject, f"{key!r} is not a setting of these", f"known: {known}")
        try:
            values[field] = _CHECKS[field](value)
        except ValueError as error:
            raise UsageError(f"{subject}: {key}", str(error)) from None
    if "base_url" not in values:
        raise UsageError(subject, "needs a base-url")
    if "api_key_file" in values and "api_key_env" in values:
        raise UsageError(subject, "api-key-file and api-key-env exclude each other")
    return Endpoint(**values)


def _text(value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("must be a text")
    return value


def _path(value: object) -> Path:
    return Path(_text(value)).expanduser()


def _url(value: object) -> str:
    return checked_url(_text(value))


def _seconds(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 86_400:
        raise ValueError("must be seconds, more than 0 and at most 86400")
    return float(value)


def _count(least: int, most: int) -> Any:
    def check(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise ValueError(f"must be a whole number from {least} to {most}")
        return value

    return check


_CHECKS: Mapping[str, Any] = {
    "base_url": _url,
    "api_key_file": _path,
    "api_key_env": _text,
    "model": _text,
    "server": _text,
    "timeout": _seconds,
    "retries": _count(0, 100),
    "concurrency": _count(1, 1024),
}
