"""`gptcli models list`: what is on this disk, or what a server has."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from gptcli import models
from gptcli.backends import offered
from gptcli.cli.environment import Environment
from gptcli.cli.flags.groups import but
from gptcli.cli.flags.output import Output
from gptcli.cli.flags.place import There
from gptcli.config import option
from gptcli.errors import UsageError
from gptcli.plain import dataclass
from gptcli.ui.terminal.tables import Column
from gptcli.ui.views import offered as offered_view
from gptcli.ui.views.printing import fitted
from gptcli.units import size

_LISTED = (
    Column("model", style="bold"),
    Column("on this disk", right=True, keep=4),
    Column("packed", right=True, keep=3),
    Column("last use", keep=1),
    Column("source", keep=2, shrink=True, least=16),
)
#: The same for programs.
_EXACT = ("model", "bytes", "source", "path", "packed bytes", "last use")


@dataclass(frozen=True)
class Listing:
    """Which models are listed."""

    everywhere: bool = option(
        False,
        "Also those that Ollama, LM Studio and llama.cpp keep, which run from where they are.",
        "--all",
        brief="Also those of Ollama, LM Studio and llama.cpp.",
    )


def list_models(
    environment: Environment,
    which: Listing,
    remote: There,
    output: Annotated[
        Output, but(quiet=None, json="Print a JSON array: an object for each model.")
    ],
) -> None:
    """List short names and the models on this disk.

    What the CPU kernels keep of a model, packed, is told beside it, and when that was last used;
    also of directories of your own.

    In a pipe, tab-separated, heads first: name, size in bytes (empty where it is not here), source,
    path, bytes that are packed, last use. Of a server: name, who owns it, tokens of context (empty
    where it does not say).
    """
    if remote.by_hand:
        if which.everywhere:
            raise UsageError("--all", "cannot be combined with --base-url")
        offered_view.show(environment.stdout, offered(remote), json=output.json)
        return
    entries = models.listing(everywhere=which.everywhere)
    if output.json:
        found = [
            {
                "name": entry.name,
                "installed": entry.installed,
                "bytes": entry.size,
                "path": None if entry.path is None else str(entry.path),
                "source": entry.source,
                "packed_bytes": entry.packed,
                "last_used": _moment(entry.used) or None,
            }
            for entry in entries
        ]
        environment.data().json(found)
        return
    if environment.on_terminal:
        rows = [
            (
                e.name,
                size(e.size) if e.size else "" if e.packed else "not here",
                size(e.packed) if e.packed else "",
                _moment(e.used)[:10],
                e.source,
            )
            for e in entries
        ]
        fitted(environment.stdout, _LISTED, rows)
        return
    exact = [
        (
            e.name,
            str(e.size or "") if e.installed else "",
            e.source,
            str(e.path or ""),
            str(e.packed or ""),
            _moment(e.used),
        )
        for e in entries
    ]
    environment.data().rows([_EXACT, *exact])


def _moment(seconds: float | None) -> str:
    """2026-11-28T07:14:18Z, or nothing."""
    if seconds is None:
        return ""
    return f"{datetime.fromtimestamp(int(seconds), UTC):%Y-%m-%dT%H:%M:%SZ}"
