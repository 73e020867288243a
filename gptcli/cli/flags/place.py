"""Where a command's model may be: here alone, or on a server as well."""

from __future__ import annotations

from typing import Annotated

from gptcli.cli.flags.groups import but, only
from gptcli.types.compute import DRAFTING, REMOTE, Compute

#: For what takes the model itself, which no server shows.
Here = Annotated[Compute, but(**dict.fromkeys((*DRAFTING, *REMOTE)))]
#: The same, without what is added to it.
Bare = Annotated[
    Compute,
    but(adapter=None, adapter_apart=None, steer=None, **dict.fromkeys((*DRAFTING, *REMOTE))),
]
#: For what only reads tokens, and writes no text.
Reading = Annotated[Compute, but(**dict.fromkeys(DRAFTING))]
#: For what is asked of servers most: the short help tells of it.
Anywhere = Annotated[
    Compute, but(base_url={"brief": "Ask a server instead: its address, or its name."})
]
#: For what is asked of servers alone.
There = Annotated[
    Compute,
    only(
        *REMOTE[1:],
        base_url="List what a server has instead: its address, or the name of an endpoint.",
    ),
]
