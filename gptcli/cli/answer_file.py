"""`-o FILE` of an answer: what would go to a pipe goes to a file, whole or not at all."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gptcli.cli.environment import Environment
from gptcli.cli.exports import write
from gptcli.errors import ResourceError
from gptcli.ui.terminal.stream import with_variables


@contextmanager
def answer_in(environment: Environment, path: Path | None) -> Iterator[None]:
    """Have stdout of the block in a file once the block has ended well; None and - are stdout.

    Raises ResourceError where it cannot be written, and at once where there is no such directory.
    """
    if path is None or str(path) == "-":
        yield
        return
    if not path.parent.is_dir() or path.is_dir():
        raise ResourceError(str(path), "is no file in a directory that is there")
    data = io.BytesIO()
    before = environment.stdout
    # As a pipe's, exact.
    file = io.TextIOWrapper(data, encoding="utf-8", newline="", write_through=True)
    environment.stdout = with_variables(file, environment.variables)
    try:
        yield
        file.flush()
    finally:
        environment.stdout = before
    write(path, data.getvalue())
