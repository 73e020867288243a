"""What a command finds around it: streams, terminal, colour, variables. Tests make their own."""

from __future__ import annotations

import io
import os
import select
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, BinaryIO, TextIO

from gptcli.errors import InputError, UsageError
from gptcli.ui.data.writer import DataWriter
from gptcli.ui.terminal.messages import Messages
from gptcli.ui.terminal.stream import with_variables

if TYPE_CHECKING:
    from gptcli.ui.terminal.writer import TerminalWriter

#: Seconds after which whoever looks at a command that waits for a pipe may wonder.
_SILENCE = 2.0


class Environment:
    """The streams and the variables of one run.

    stdin is None where it is closed. stdout and stderr know the variables, so that NO_COLOR,
    FORCE_COLOR, TERM and COLUMNS reach whatever writes to them.
    """

    def __init__(
        self, stdin: TextIO | None, stdout: TextIO, stderr: TextIO, variables: Mapping[str, str]
    ) -> None:
        self.variables = dict(variables)
        self.stdin = stdin
        self.stdout = with_variables(stdout, self.variables)
        self.stderr = with_variables(stderr, self.variables)
        #: The flag that reads stdin, where the command line names one.
        self.stdin_is_for: str | None = None

    @classmethod
    def of_process(cls) -> Environment:
        """This process's own."""
        _occupy_closed()
        if isinstance(sys.stdout, io.TextIOWrapper):
            # A terminal that is not UTF-8 shows what it cannot by its code, as stderr does anyway.
            sys.stdout.reconfigure(errors="backslashreplace")
        return cls(sys.stdin, sys.stdout, sys.stderr, os.environ)

    @property
    def interactive(self) -> bool:
        """Whether a person could type into stdin, so that nothing is to be read from it unasked."""
        return self.stdin is None or self.stdin.closed or self.stdin.isatty()

    def claim_stdin(self, flag: str) -> None:
        """Raise UsageError where stdin, which can be read once, is another flag's already."""
        first, self.stdin_is_for = self.stdin_is_for, flag
        if first == flag:
            raise UsageError(flag, "- can be given once, as stdin can be read once")
        if first is not None:
            raise UsageError(flag, f"reads stdin, and so does {first}: only one of them can")

    @property
    def on_terminal(self) -> bool:
        """Whether stdout is a terminal: text for people, not data for programs."""
        return self.stdout.isatty()

    @property
    def stdin_buffer(self) -> BinaryIO:
        """Stdin as bytes. Raises InputError where it is closed."""
        if self.stdin is None or self.stdin.closed:
            raise InputError("stdin", "is closed")
        return self.stdin.buffer

    def read_bytes(self, most: int, waits: Callable[[], None] | None = None) -> bytes:
        """All of stdin, up to that many bytes. Raises InputError where it cannot be read.

        waits: as of `wait_for_pipe`.
        """
        stdin = self.stdin_buffer
        if waits is not None:
            self.wait_for_pipe(waits)
        try:
            return stdin.read(most)
        except OSError as error:
            raise InputError("stdin", error.strerror or str(error)) from None

    def wait_for_pipe(self, waits: Callable[[], None]) -> None:
        """Wait until something can be read from stdin, or call `waits` after a while of silence.

        Where a person could type, he knows what is waited for.
        """
        if not self.interactive and is_silent(self.stdin_buffer, _SILENCE):
            waits()

    def forgo_colour(self) -> None:
        """From here on no colours, whatever the variables said."""
        self.variables["NO_COLOR"] = "1"
        self.variables.pop("FORCE_COLOR", None)

    @property
    def has_keys(self) -> bool:
        """Whether single keys can be asked for, and a screen be drawn."""
        typed = bool(self.stdin and not self.stdin.closed and self.stdin.isatty())
        return typed and self.on_terminal and not self._is_dumb

    @property
    def _is_dumb(self) -> bool:
        return self.variables.get("TERM", "dumb") in ("dumb", "unknown")

    def check_keys(self, flag: str, hint: str | None = None) -> None:
        """Raise UsageError, which names the flag, where single keys cannot be asked for."""
        if not (self.stdin and self.stdin.isatty() and self.on_terminal):
            raise UsageError(flag, "needs a terminal", hint)
        if self._is_dumb:
            raise UsageError(flag, "needs a terminal that can move its cursor")

    def messages(self, *, quiet: bool = False) -> Messages:
        """stderr, for people; quiet leaves errors alone."""
        return Messages(self.stderr, quiet=quiet)

    def data(self) -> DataWriter:
        """stdout, for programs."""
        return DataWriter(self.stdout)

    def terminal(self) -> TerminalWriter:
        """stdout, for people."""
        from gptcli.ui.terminal.writer import TerminalWriter

        return TerminalWriter(self.stdout)

    def page(self, text: str) -> None:
        """Write help, versions and the like to stdout."""
        writer = self.terminal() if self.on_terminal else self.data()
        writer.write(text)


def is_silent(file: BinaryIO, seconds: float) -> bool:
    """Whether nothing comes of a pipe for so long; of other files False, which are not waited for.

    What has come already, or its end, is known at once.
    """
    try:
        return not select.select([file.fileno()], [], [], seconds)[0]
    except (OSError, ValueError):
        # Not a file of the system, or a system that can ask sockets alone.
        return False


def _occupy_closed() -> None:
    """Closed descriptors would become those of the next files that are opened, models among them.

    A closed stdout cannot be written to, as the system itself has it; what people read on stderr
    is lost. Every print, of libraries as well, would stumble over streams that are None.
    """
    for descriptor, how in enumerate((os.O_RDONLY, os.O_RDONLY, os.O_WRONLY)):
        try:
            os.fstat(descriptor)
        except OSError:
            # The lowest that is free, which is this one.
            os.open(os.devnull, how)
    if sys.stdout is None:
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
