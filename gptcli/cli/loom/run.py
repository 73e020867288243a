"""A tree on the terminal from beginning to end: nothing of it is lost, however it ends."""

from __future__ import annotations

from pathlib import Path

from gptcli import signals
from gptcli.backends import Backend
from gptcli.cli.environment import Environment
from gptcli.cli.loom.app import App
from gptcli.cli.loom.keeper import Keeper
from gptcli.cli.loom.weaver import Weaver
from gptcli.loom import Tale
from gptcli.loom.growth import Wish
from gptcli.ui.terminal.messages import Messages


def weave(
    environment: Environment,
    tale: Tale,
    path: Path | None,
    wish: Wish,
    branches: int,
    backend: Backend,
    messages: Messages,
) -> None:
    """Until one leaves; the text that one was at is printed then."""
    keeper = Keeper(tale, path)
    weaver = Weaver(tale, keeper, wish, branches)
    try:
        with signals.answered():
            App(environment, weaver, backend, wish.model).run()
        environment.terminal().write(f"{tale.text(tale.at)}\n")
    finally:
        kept = keeper.rescue() if keeper.unsaved else keeper.path
        # Where nothing came of it there is none.
        if kept is not None and kept.exists():
            messages.info(f"the tree is kept in {kept}")
