"""A model of a server: what the server is, found out once, and only when something is asked."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from gptcli.backends.place import OPENAI_URL, Place
from gptcli.backends.remote.failures import said
from gptcli.backends.remote.servers import SERVERS, SIGNS, Server, by_owner
from gptcli.errors import ModelError, NetworkError, UsageError
from gptcli.types.models import Offered
from gptcli.types.token import Source

if TYPE_CHECKING:
    from gptcli.backends.remote.client import Link

#: How many names an error lists.
_NAMED = 8


@dataclass(frozen=True)
class _Found:
    """A server, and the models that it lists."""

    server: Server
    models: tuple[Offered, ...]


class RemoteModel:
    """A model somewhere else. Used by several threads at once."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self._lock = threading.RLock()
        #: Token ids whose bytes were asked for, so that they are asked for once.
        self.known: dict[int, bytes] = {}

    @cached_property
    def link(self) -> Link:
        """The client. Raises UsageError where it is not installed."""
        with self._lock:
            try:
                from gptcli.backends.remote.client import Link
            except ImportError:
                reason = "needs the openai client: pip install 'gptcli[remote]'"
                raise UsageError("a server's model", reason) from None
            return Link(self.place)

    @property
    def server(self) -> Server:
        """What answers. Raises ModelError where it is known to have no such model."""
        found = self._found
        names = [name for each in found.models for name in each.names]
        if found.server.lists and names and self.place.model not in names:
            shown = said(", ".join(names[:_NAMED]), self.place)
            shown += " …" if len(names) > _NAMED else ""
            raise ModelError(
                self.place.model, f"is no model of {self.place.url}", f"it has: {shown}"
            )
        return found.server

    @property
    def models(self) -> tuple[Offered, ...]:
        """What the server lists."""
        return self._found.models

    @property
    def source(self) -> Source:
        """Who told the numbers; in which precision they were computed nobody says."""
        return Source(self.place.name, "remote", None, server=self.answered_by)

    @property
    def answered_by(self) -> str:
        """`vLLM at http://127.0.0.1:8000/v1`."""
        return f"{self._found.server.title} at {self.place.url}"

    def refuse(self, flag: str, why: str, hint: str | None = None) -> UsageError:
        """The error for what the server cannot do."""
        return UsageError(flag, f"{self._found.server.title} at {self.place.url} {why}", hint)

    def close(self) -> None:
        """Let the connections go, where there are any."""
        if "link" in self.__dict__:
            self.link.close()

    @cached_property
    def _found(self) -> _Found:
        with self._lock:
            if "_found" in self.__dict__:
                found: _Found = self.__dict__["_found"]
                return found
            named = self.place.server
            if named is not None and named not in SERVERS:
                known = ", ".join(SERVERS)
                raise UsageError("server", f"must be one of {known}, not {named!r}")
            models = self._listed()
            owners = {each.owner for each in models}
            server = SERVERS[named] if named else None
            if server is None and self.place.url == OPENAI_URL:
                server = SERVERS["openai"]
            if server is None and len(owners) == 1:
                server = by_owner(next(iter(owners)))
            return _Found(server or self._by_signs(), models)

    def _listed(self) -> tuple[Offered, ...]:
        try:
            listed = self.link.get("/models")
        except ModelError:
            return ()
        except NetworkError as error:
            # Some have no list; everything else would fail again.
            if "(404)" in error.reason:
                return ()
            raise
        rows = listed.get("data") if isinstance(listed, dict) else None
        return tuple(map(_offered, filter(_is_model, rows if isinstance(rows, list) else ())))

    def _by_signs(self) -> Server:
        for path, key, name in SIGNS:
            try:
                answer = self.link.get(path, root=True)
            except (NetworkError, ModelError):
                continue
            if isinstance(answer, dict) and key in answer:
                return SERVERS[name]
        return SERVERS["other"]


def _is_model(row: Any) -> bool:
    return isinstance(row, dict) and isinstance(row.get("id"), str)


def _offered(row: dict[str, Any]) -> Offered:
    owner, created = row.get("owned_by"), row.get("created")
    meta = row.get("meta")
    own = meta.get("n_ctx") if isinstance(meta, dict) else None
    sizes = (row.get("max_model_len"), own, row.get("context_length"))
    context = next((size for size in sizes if isinstance(size, int) and size > 0), None)
    others = row.get("aliases")
    aliases = [a for a in others if isinstance(a, str)] if isinstance(others, list) else []
    return Offered(
        name=row["id"],
        owner=owner if isinstance(owner, str) else "",
        created=created if isinstance(created, int) and 0 < created < 1 << 40 else None,
        context=context,
        aliases=tuple(each for each in aliases if each != row["id"]),
    )
