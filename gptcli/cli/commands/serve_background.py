"""What `gptcli serve` does with servers in the background."""

from __future__ import annotations

from gptcli.backends import ECHO
from gptcli.cli.environment import Environment
from gptcli.cli.flags.background import Background
from gptcli.cli.flags.groups import Given
from gptcli.cli.flags.output import Output
from gptcli.cli.opening import check
from gptcli.config import key_of
from gptcli.errors import UsageError
from gptcli.types.compute import Compute
from gptcli.ui.terminal.progress import watch
from gptcli.ui.views import servers as view
from gptcli.units import counted

#: Options of a server that speaks HTTP.
_OF_HTTP = ("host", "port", "socket", "token_file", "parallel", "queue")


def tend(
    environment: Environment, asked: Background, compute: Compute, output: Output, given: Given
) -> None:
    """Start one, list those there are, or end them."""
    from gptcli.server import launch

    messages = output.messages(environment)
    other = next((flag for flag in _OF_HTTP if flag in given), None)
    if other is not None:
        flag = f"--{key_of(other)}"
        raise UsageError(flag, "is about HTTP, which a server in the foreground speaks")
    if asked.background:
        check(compute)
        if output.json:
            raise UsageError("--json", "needs --status")
        if compute.model == ECHO:
            raise UsageError("--background", "is of no use for echo, which has nothing to load")
        found, new = watch(launch.start(compute, asked.idle_seconds), messages)
        messages.info(view.in_words(found) if new else f"{view.in_words(found)}, runs already")
        return
    running = launch.running()
    if asked.status:
        if output.json:
            environment.data().json(view.as_json(running))
        elif running or not environment.on_terminal:
            view.show(running, environment.stdout)
        else:
            messages.info("no server is running; gptcli serve --background starts one")
        return
    if output.json:
        raise UsageError("--json", "needs --status")
    meant = [each for each in running if "model" not in given or each.model == compute.model]
    ended = [each for each in meant if each.address is None]
    launch.end(ended)
    if ended or not meant:
        many = counted(len(ended), "server") if ended else "no server"
        messages.info(f"ended {many} in the background")
    for each in meant:
        if each.address is not None:
            # Programs may be in the middle of something, and somebody sits before it.
            where = f"process {each.pid} at {each.address}"
            messages.info(f"{where} is in the foreground and goes on; Ctrl-C there ends it")
