"""The person's own editor, on the terminal, for as long as it takes."""

from __future__ import annotations

import shlex
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path

from gptcli import signals
from gptcli.errors import UsageError


def edit(path: Path, variables: Mapping[str, str], subject: str) -> None:
    """Have VISUAL, else EDITOR, open a file, and wait until it is left.

    Raises UsageError, with the subject, where there is none, or where it fails.
    """
    editor = variables.get("VISUAL") or variables.get("EDITOR")
    if not editor:
        raise UsageError(subject, "there is no editor", "set EDITOR")
    try:
        # Ctrl-C is the editor's while it has the terminal.
        with signals.held([signal.SIGINT]) as came:
            subprocess.run([*shlex.split(editor), str(path)], check=True)
            came.clear()
    except (OSError, ValueError, subprocess.CalledProcessError) as error:
        raise UsageError(subject, f"the editor {editor!r} failed: {error}") from None
