"""Every subcommand where something is missing around it: the right code, one line, nothing lost."""

from __future__ import annotations

import io
import os
import pwd
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

import pytest

from gptcli.cli.boundary import main
from gptcli.cli.environment import Environment
from gptcli.cli.flags.settings import setting_names
from gptcli.config import variable_of
from tests.cli.flags.test_adapters import make_adapter
from tests.cli.helpers import Done
from tests.faults.commands import COMMANDS, SILENT, VARYING, argv_of, keep_session, keep_tree
from tests.faults.processes import GPTCLI

#: Where nobody can make a directory, not even root.
NOWHERE = "/proc/nowhere"
EVERY = list(COMMANDS)
#: Print nothing that depends on settings, and so read none.
WITHOUT_SETTINGS = ("models-merge", "models-families", "models-verify", "models-path")
WITHOUT_SETTINGS += ("models-list", "sessions-list", "sessions-show", "sessions-export")
WITHOUT_SETTINGS += ("help", "brief-help", "version")


class Commands:
    """Command lines that work, each in a place of its own."""

    def __init__(self, model: Path, chat: Path, place: Path) -> None:
        self._model, self._chat, self._place = model, chat, place
        make_adapter(place / "adapter", seed=1)
        keep_session()
        keep_tree(place)

    def argv(self, name: str) -> list[str]:
        return argv_of(name, self._model, self._chat, self._place)

    def run(self, name: str, variables: Mapping[str, str] = os.environ, **streams: Any) -> Done:
        """Run it here, with what is given in place of a stream."""
        raw, err = io.BytesIO(), io.StringIO()
        out = io.TextIOWrapper(raw, encoding=streams.pop("encoding", "utf-8"))
        stdin = streams.pop("stdin", io.TextIOWrapper(io.BytesIO()))
        stdout = streams.pop("stdout", out)
        code = main(self.argv(name), Environment(stdin, stdout, err, variables))
        return Done(code, raw.getvalue(), err.getvalue())


@pytest.fixture
def commands(tiny_model: Path, tmp_path: Path, own_home: Path, chat_model: Path) -> Commands:
    return Commands(tiny_model, chat_model, tmp_path)


@contextmanager
def unwritable(path: str) -> Iterator[TextIO]:
    """A stdout that takes nothing."""
    descriptor = os.open(path, os.O_WRONLY if path == "/dev/full" else os.O_RDONLY)
    with pytest.raises(OSError, match=r"space|descriptor"):
        os.write(descriptor, b"the fault itself")
    out = open(descriptor, "w", encoding="utf-8")  # noqa: PTH123, SIM115
    try:
        yield out
    finally:
        # What was not taken is not written at the end either.
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, descriptor)
        os.close(null)
        out.close()


def assert_line(done: Done, code: int, *parts: str) -> None:
    """That code and one line of an error, nothing else."""
    assert done.code == code, done
    lines = done.err.splitlines()
    assert len([line for line in lines if "gptcli: error: " in line]) == 1, done.err
    assert "Traceback" not in done.err and "bug" not in done.err, done.err
    assert all(part in done.err for part in parts), done.err


@pytest.mark.parametrize("name", EVERY)
def test_what_cannot_be_written_is_an_error(name: str, commands: Commands) -> None:
    """The output was lost with code 0 (`>&-`), or the disk was full and two lines said so (120)."""
    # Each of every second command: what they write to is the same.
    which = EVERY.index(name) % 2
    path, reason = (("/dev/full", "No space left on device"), ("/dev/null", "Bad file"))[which]
    with unwritable(path) as stdout:
        done = commands.run(name, stdout=stdout)
    if name in SILENT:
        assert done.code in (0, 2), done.err
    else:
        assert_line(done, 6, "output: ", reason)


@pytest.mark.parametrize("name", EVERY)
def test_a_closed_stdin_is_no_matter(name: str, commands: Commands) -> None:
    """Nothing is to be read, so nothing is missing."""
    assert commands.run(name, stdin=None).code == 0


@pytest.mark.parametrize("name", [each for each in EVERY if each not in VARYING + SILENT])
def test_bytes_are_the_same_in_every_encoding(name: str, commands: Commands) -> None:
    """A locale without é made ? or \\xe9 of it, or ended it with a bug."""
    wanted = commands.run(name)
    assert wanted.code == 0 and wanted.out, wanted.err
    with pytest.raises(UnicodeEncodeError):
        io.TextIOWrapper(io.BytesIO(), encoding="latin-1").write("␣ the fault itself")
    for encoding in ("latin-1", "utf-16"):
        assert commands.run(name, encoding=encoding).out == wanted.out


@pytest.mark.parametrize("name", EVERY)
def test_a_home_that_nothing_can_be_written_to(
    name: str, commands: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a command need not keep, it does without; what it is about, it names."""
    with pytest.raises(OSError, match="nowhere"):
        Path(NOWHERE).mkdir()
    monkeypatch.setenv("HOME", NOWHERE)
    monkeypatch.delenv("XDG_CONFIG_HOME")
    monkeypatch.setenv("GPTCLI_DATA_DIR", f"{NOWHERE}/data")
    done = commands.run(name)
    if name in ("sessions-show", "sessions-export"):
        assert_line(done, 2, "there is no such session")
    else:
        assert done.code == 0, done.err


@pytest.mark.parametrize("name", EVERY)
def test_no_home(name: str, commands: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    """A container's user may be in no list: then Python knows no home directory at all."""

    def unknown(_: object) -> None:
        raise KeyError("uid")

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    for variable in ("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "GPTCLI_DATA_DIR", "HF_HOME"):
        monkeypatch.delenv(variable, raising=False)
    with pytest.raises(RuntimeError, match="home"):
        Path.home()
    done = commands.run(name)
    if done.code:
        assert_line(done, 2, "there is no home directory", "set HOME")
    if name in ("help", "brief-help", "version", "models-families"):
        assert done.code == 0, done.err


BAD = {variable_of(name): "no such value" for name in setting_names() if name != "model"}


@pytest.mark.parametrize("variable", BAD)
def test_a_bad_setting_is_named(variable: str, commands: Commands) -> None:
    """Each command that has the setting refuses a bad value of its variable, by that name."""
    around = dict(os.environ) | {variable: BAD[variable]}
    for name in EVERY:
        if name not in WITHOUT_SETTINGS:
            assert_line(commands.run(name, around), 2, f"{variable}: must be ")


@pytest.mark.parametrize("name", WITHOUT_SETTINGS)
def test_bad_settings_are_no_matter_where_none_is_read(name: str, commands: Commands) -> None:
    """A list of sessions needs no temperature."""
    done = commands.run(name, dict(os.environ) | BAD)
    assert done.code == 0, done.err


def test_a_bad_model_is_named(commands: Commands) -> None:
    """The one setting that no flag of theirs hides, and that is no matter of form."""
    argv = ["complete", "a"]
    err = io.StringIO()
    around = dict(os.environ) | {"GPTCLI_MODEL": "nosuch"}
    assert main(argv, Environment(None, io.StringIO(), err, around)) == 3
    assert "nosuch: unknown model" in err.getvalue() and err.getvalue().count("\n") == 1


#: (what the shell does with the streams, code, whether one line says why)
REDIRECTED = {
    "<&-": (0, False),
    ">&-": (6, True),
    "2>&-": (0, False),
    "<&- >&- 2>&-": (6, False),
    "> /dev/full": (6, True),
    "2> /dev/full": (0, False),
}
ENCODED = (
    {"PYTHONIOENCODING": "latin-1"},
    {"LANG": "C", "LC_ALL": "", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
)


def redirected(argv: list[str], how: str, **variables: str) -> subprocess.CompletedProcess[bytes]:
    """Run it as a shell does."""
    words = ["sh", "-c", f'exec "$@" {how}', "sh", *GPTCLI, *argv]
    return subprocess.run(
        words,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env=os.environ | variables,
        timeout=60,
    )


def check_process(commands: Commands, name: str, how: str) -> None:
    code, told = REDIRECTED[how]
    done = redirected(commands.argv(name), how)
    if how == "2> /dev/full" and done.returncode:
        # A hint that cannot be told is an error too, where there is one.
        code = 6 if commands.run(name).err else 0
    elif name in SILENT:
        assert done.returncode in (0, 2), done.stderr
        return
    assert done.returncode == code, done
    assert done.stderr.count(b"gptcli: error: ") == told and b"Traceback" not in done.stderr
    assert b"Exception ignored" not in done.stderr
    if code == 0 and ">" not in how:
        assert done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("how", REDIRECTED)
def test_streams_of_a_process(how: str, commands: Commands) -> None:
    """What the interpreter does with closed descriptors, at its start and at its end."""
    check_process(commands, "complete", how)


@pytest.mark.faults
@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("how", REDIRECTED)
def test_streams_of_every_process(how: str, name: str, commands: Commands) -> None:
    """The same for all."""
    check_process(commands, name, how)


@pytest.mark.slow
@pytest.mark.parametrize("around", ENCODED, ids=lambda each: " ".join(each))
def test_locales_of_a_process(around: dict[str, str], commands: Commands) -> None:
    """What the interpreter makes of the locale, before the tool is asked."""
    argv = commands.argv("sessions-show")
    plain = redirected(argv, "", LC_ALL="C.UTF-8")
    assert plain.returncode == 0 and not plain.stdout.isascii(), plain
    assert redirected(argv, "", **around).stdout == plain.stdout


@pytest.mark.faults
@pytest.mark.parametrize("name", [each for each in EVERY if each not in VARYING + SILENT])
@pytest.mark.parametrize("around", ENCODED, ids=lambda each: " ".join(each))
def test_locales_of_every_process(around: dict[str, str], name: str, commands: Commands) -> None:
    """The same for all."""
    plain = redirected(commands.argv(name), "", LC_ALL="C.UTF-8")
    assert plain.returncode == 0, plain.stderr
    assert redirected(commands.argv(name), "", **around).stdout == plain.stdout


@pytest.mark.slow
@pytest.mark.parametrize("argv", [["--help"], ["--show-completion", "bash"], ["complete", "-h"]])
def test_a_reader_that_left_is_told_as_one(argv: list[str]) -> None:
    """Typer and Rich make an exit of their own of it, with 1, which is a bug here."""
    done = subprocess.run(
        ["bash", "-c", '"$@" | true; exit ${PIPESTATUS[0]}', "bash", *GPTCLI, *argv],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (141, b"")
