"""Files that answers are written to: a page, a picture, arrays beside one, or all of it with -o."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from gptcli import atomic, units
from gptcli.cli.environment import Environment
from gptcli.cli.flags.inside import Inside
from gptcli.errors import ResourceError, UsageError
from gptcli.ui.terminal.messages import Messages
from gptcli.ui.terminal.stream import with_variables

_STDOUT = "-"


class Exports:
    """Where to write what was seen, None where it is not wanted; `-` is stdout."""

    def __init__(self, environment: Environment, inside: Inside, *, json: bool) -> None:
        """Raises UsageError where two things would go to stdout, or a picture cannot be drawn."""
        self._environment = environment
        self.html, self.png, self.npz, self.json = inside.html, inside.png, inside.npz, json
        self._check()

    def _check(self) -> None:
        files = {"--html": self.html, "--png": self.png, "--npz": self.npz}
        given = [flag for flag, path in files.items() if str(path) == _STDOUT]
        given += ["--json"] if self.json else []
        if len(given) > 1:
            raise UsageError(given[0], f"cannot go to stdout beside {given[1]}")
        if self.png is not None:
            from gptcli.ui.views.figure import check_installed

            check_installed()

    @property
    def to_stdout(self) -> bool:
        """Whether stdout is taken by a file, so that the view cannot go there."""
        return _STDOUT in (str(self.html), str(self.png), str(self.npz))

    @property
    def any(self) -> bool:
        """Whether a file is wanted, so that what makes files is worth importing."""
        return (self.html, self.png, self.npz) != (None, None, None)

    def present(
        self,
        name: str,
        found: Any,
        messages: Messages,
        show: Callable[[TextIO], None],
        as_json: Callable[[Any], Any],
        *more: Any,
    ) -> None:
        """Print what was seen inside a model, and write the files that are wanted of it.

        name: that of its functions in `pages`, `plots` and `arrays`; show: prints it for people,
        or as rows; more: what the plot needs beside it.
        """
        messages.notices(found.notices)
        if self.json:
            self._environment.data().json(as_json(found))
        elif not self.to_stdout:
            show(self._environment.stdout)
        if self.any:
            from gptcli.ui import pages
            from gptcli.ui.data import arrays
            from gptcli.ui.views import plots

            self.write(
                messages,
                html=lambda: getattr(pages, name)(found),
                png=lambda: getattr(plots, name)(found, *more),
                npz=lambda: arrays.npz(getattr(arrays, name)(found)),
            )

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
                self._write(path, make(), messages)

    def _write(self, path: Path, data: bytes, messages: Messages) -> None:
        if str(path) == _STDOUT:
            self._environment.data().write_bytes(data)
            return
        write(path, data)
        messages.info(f"wrote {path} ({units.size(len(data))})")


def write(path: Path, data: bytes) -> None:
    """Make a file of data. Raises ResourceError."""
    if path.exists() and not path.is_file():
        # A device or a pipe has no neighbour to be renamed from.
        _write_into(path, data)
    else:
        _replace(path, data)


def _write_into(path: Path, data: bytes) -> None:
    try:
        path.write_bytes(data)
    except OSError as error:
        raise ResourceError(str(path), error.strerror or str(error)) from None


def _replace(path: Path, data: bytes) -> None:
    """Whole or not at all: nobody ever sees half a file."""
    try:
        atomic.replace(path, data)
    except OSError as error:
        raise ResourceError(str(path), error.strerror or str(error)) from None


def check_file(path: Path) -> None:
    """Raise ResourceError where no such file can be made, before anything is computed."""
    if not path.parent.is_dir() or path.is_dir():
        raise ResourceError(str(path), "is no file in a directory that is there")


@contextmanager
def answer_in(environment: Environment, path: Path | None) -> Iterator[None]:
    """Have stdout of the block in a file once the block has ended well; None and - are stdout.

    Raises ResourceError where it cannot be written, and at once where there is no such directory.
    """
    if path is None or str(path) == "-":
        yield
        return
    check_file(path)
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
