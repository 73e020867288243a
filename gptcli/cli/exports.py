"""Files that a view is written to beside what it prints: a page, a picture, arrays."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gptcli import units
from gptcli.errors import ResourceError, UsageError
from gptcli.ui.data.writer import DataWriter
from gptcli.ui.terminal.messages import Messages

_STDOUT = "-"


@dataclass(frozen=True)
class Exports:
    """Where to write what was seen, None where it is not wanted; `-` is stdout."""

    html: Path | None = None
    png: Path | None = None
    npz: Path | None = None
    json: bool = False

    def check(self) -> None:
        """Raise UsageError where two things would go to stdout, or a picture cannot be drawn."""
        files = {"--html": self.html, "--png": self.png, "--npz": self.npz}
        given = [flag for flag, path in files.items() if str(path) == _STDOUT]
        given += ["--json"] if self.json else []
        if len(given) > 1:
            raise UsageError(given[0], f"cannot go to stdout beside {given[1]}")
        if self.png is not None:
            from gptcli.ui.views.plots import check_installed

            check_installed()

    @property
    def to_stdout(self) -> bool:
        """Whether stdout is taken by a file, so that the view cannot go there."""
        return _STDOUT in (str(self.html), str(self.png), str(self.npz))

    @property
    def any(self) -> bool:
        """Whether a file is wanted, so that what makes files is worth importing."""
        return (self.html, self.png, self.npz) != (None, None, None)

    def write(
        self,
        messages: Messages,
        *,
        html: Callable[[], str],
        png: Callable[[], bytes],
        npz: Callable[[], bytes],
    ) -> None:
        """Make and write those that are wanted. Raises ResourceError."""
        makers: list[tuple[Path | None, Callable[[], bytes]]] = [
            (self.html, lambda: html().encode()),
            (self.png, png),
            (self.npz, npz),
        ]
        for path, make in makers:
            if path is not None:
                _write(path, make(), messages)


def _write(path: Path, data: bytes, messages: Messages) -> None:
    if str(path) == _STDOUT:
        DataWriter(sys.stdout).write_bytes(data)
        return
    if path.exists() and not path.is_file():
        # A device or a pipe has no neighbour to be renamed from.
        _write_into(path, data)
    else:
        _replace(path, data)
    messages.info(f"wrote {path} ({units.size(len(data))})")


def _write_into(path: Path, data: bytes) -> None:
    try:
        path.write_bytes(data)
    except OSError as error:
        raise ResourceError(str(path), error.strerror or str(error)) from None


def _replace(path: Path, data: bytes) -> None:
    """Beside its target first, so that nobody ever sees half a file."""
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        try:
            part.write_bytes(data)
            part.replace(path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise ResourceError(str(path), error.strerror or str(error)) from None
