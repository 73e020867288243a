"""Where a server listens, to whom, and to how many at once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gptcli.config import Limit, option

#: The variable that holds a token.
TOKEN = "GPTCLI_SERVE_TOKEN"


@dataclass(frozen=True)
class Serving:
    """What a server over HTTP is started with."""

    host: str = option(
        "127.0.0.1",
        "Listen on this address; any but this machine's own needs a token. Default: 127.0.0.1.",
        metavar="ADDRESS",
        brief="Listen on this address (127.0.0.1).",
    )
    port: int = option(
        8080,
        "Listen on this port; 0 is any that is free, and stderr tells which. Default: 8080.",
        metavar="PORT",
        brief="Listen on this port (8080).",
        limit=Limit(0, 65535),
    )
    socket: Path | None = option(
        None,
        "Listen on a socket of the file system instead, which only you can open.",
        metavar="PATH",
        brief="Listen on a socket of the file system.",
    )
    token_file: Path | None = option(
        None,
        f"Answer only to who shows the token in this file, as `Authorization: Bearer`. {TOKEN} can"
        " hold it as well.",
        metavar="FILE",
        brief="Answer only to who shows this token.",
    )
    parallel: int | None = option(
        None,
        "Answer at most N texts side by side; more wait. Default: as many as the device does well.",
        metavar="N",
        brief="How many texts side by side.",
        limit=Limit(1, 4096),
    )
    queue: int = option(
        256,
        "Take at most N texts at once, those that wait included; more are refused with 503."
        " Default: 256.",
        metavar="N",
        limit=Limit(1, 65536),
    )
