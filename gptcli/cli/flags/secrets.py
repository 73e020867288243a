"""Keys: read from a file or stdin, as soon as their flag is met."""

from __future__ import annotations

from pathlib import Path

from gptcli.cli.environment import Environment
from gptcli.errors import UsageError
from gptcli.types.secret import KEY_FILE_LIMIT, Secret


def secret_in(environment: Environment, flag: str, name: str) -> Secret:
    """The key in a file, on its first line; - is stdin, which has nothing else for anyone.

    Raises InputError, which never shows what was read.
    """
    if name != "-":
        return Secret.read(Path(name))
    if environment.interactive:
        raise UsageError(flag, "- reads stdin, and nothing comes from there")
    data = environment.read_bytes(KEY_FILE_LIMIT + 1)
    # Whoever looks for a prompt there finds it closed, not what is left of the key.
    environment.stdin = None
    return Secret.of(data, "stdin")
