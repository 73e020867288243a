"""A full or broken disk at every write, and kill -9 at every moment: the old, or the new, whole."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from gptcli import atomic, config, models
from gptcli.chat import sessions
from gptcli.engine.cpu.packing.origin import packed_path
from gptcli.models import store
from gptcli.text.tokenizer import Tokenizer
from gptcli.types.models import ModelDir
from tests.cli.flags.test_adapters import make_adapter
from tests.cli.helpers import run
from tests.engine.cpu.helpers import needs_kernels
from tests.engine.helpers import copy_case
from tests.faults import scale
from tests.faults.disk import BROKEN, FULL, KILLED, Disk, Done, parts
from tests.formats.tokenizer_json.spm import train
from tests.models.conftest import write_llama  # noqa: F401 - a fixture
from tests.opening import open_kernels
from tests.tasks import ended

IDS = [3, 1, 4, 1, 5]


@dataclass(frozen=True)
class Work:
    """What writes files: a command, what is there before, and a check of what is there after.

    check: fails where something is neither as before nor as it was to become; forgives: whether
    the command goes on without what it could not write.
    """

    command: tuple[str, ...]
    begin: Callable[[], None]
    check: Callable[[], None]
    forgives: bool = False


@pytest.fixture
def data(own_home: Path) -> Path:
    return own_home / "data"


@pytest.fixture
def machine(data: Path, tmp_path: Path) -> Disk:
    return Disk(data, tmp_path / "scratch")


def _clear(data: Path) -> None:
    if data.exists():
        shutil.rmtree(data)


@pytest.fixture
def session(data: Path) -> Work:
    """A turn of a kept conversation."""
    words = "a b c " * 200

    def begin() -> None:
        _clear(data)
        sessions.save(sessions.Session("one", "echo", "x", "x", ()))

    def check() -> None:
        found = sessions.load("one")
        assert found is not None
        assert not found.messages or found.messages[0].content == words
        sessions.save(found)
        assert not parts(data)

    command = ("-m", "gptcli", "chat", "-q", "-m", "echo", "--session", "one", words)
    return Work(command, begin, check)


@pytest.fixture
def packing(data: Path, tmp_path: Path) -> Iterator[Work]:
    """Weights are packed, which is a convenience."""
    directory = copy_case("llama/tied", tmp_path / "model")

    def logits() -> np.ndarray:
        runner = open_kernels(directory, dtype="float32", threads=1)
        return np.asarray(runner.all_logits(IDS, runner.new_state()))

    expected = logits()

    def check() -> None:
        assert np.array_equal(logits(), expected)
        assert packed_path(directory, "float32").is_file()
        assert not parts(data)

    code = (
        "import sys; from pathlib import Path; from tests.opening import open_kernels\n"
        "runner = open_kernels(Path(sys.argv[1]), dtype='float32', threads=1)\n"
        f"print(runner.all_logits({IDS}, runner.new_state()).tobytes().hex())"
    )
    yield Work(("-c", code, str(directory)), lambda: _clear(data), check, forgives=True)


@pytest.fixture
def conversion(data: Path, tmp_path: Path, write_llama) -> Work:  # noqa: F811
    """A .gguf file becomes a model."""
    path = tmp_path / "x.gguf"
    write_llama(path)

    def check() -> None:
        found = ended(models.obtain(str(path)))
        assert ended(models.verify(found)).ok
        assert store.names() == [found.path.name] and not parts(data)

    command = ("-m", "gptcli", "models", "pull", "-q", str(path))
    return Work(command, lambda: _clear(data), check)


@pytest.fixture
def export(data: Path) -> Work:
    """A session goes to a file that is there already."""
    path = data / "out" / "x.json"

    def begin() -> None:
        _clear(data)
        sessions.save(sessions.Session("one", "echo", "x", "x", ()))
        path.parent.mkdir()
        path.write_text("old")

    def check() -> None:
        assert path.read_text() == "old" or sessions.read_file(path) == sessions.load("one")
        sessions.write_file(path, sessions.Session("two", "echo", "x", "x", ()))
        assert not parts(data)

    return Work(("-m", "gptcli", "sessions", "export", "one", "-o", str(path)), begin, check)


@pytest.fixture
def making(data: Path, tmp_path: Path) -> Work:
    """A tokenizer.json is made of a tokenizer.model, which is a convenience."""
    directory = tmp_path / "model"
    directory.mkdir()
    (directory / "tokenizer.model").write_bytes(train())

    def check() -> None:
        assert Tokenizer(directory).encode("abc ade") == expected
        assert not Tokenizer(directory).notices, "it is kept, and whole"
        assert not parts(data)

    expected = Tokenizer(directory).encode("abc ade")
    code = (
        "import sys; from pathlib import Path; from gptcli.text.tokenizer import Tokenizer\n"
        "print(Tokenizer(Path(sys.argv[1])).encode('abc ade'))"
    )
    return Work(("-c", code, str(directory)), lambda: _clear(data), check, forgives=True)


@pytest.fixture
def prompt(data: Path, base_model: Path) -> Work:
    """What was computed of a prompt is kept, which is a convenience."""
    text = "0123456789" * 33
    asked = ("complete", "-q", "-m", str(base_model), "--temp", "0", "-n", "3", text)
    command = (*asked, "--threads", "1", "--prompt-cache", "auto")
    expected = run(*asked).out

    def begin() -> None:
        _clear(data)
        run(*asked)

    def check() -> None:
        for _ in range(2):
            assert run(*command).out == expected
        assert run(*command, "--stats").err.count(" read\n") == 1
        assert not parts(config.prompts_dir())

    return Work(("-m", "gptcli", *command), begin, check, forgives=True)


KILLED_AT = (
    *("session", "making", "conversion"),
    *(pytest.param(kind, marks=needs_kernels) for kind in ("packing", "prompt")),
)
#: An export is written as a session is.
WORK = (*KILLED_AT, "export", pytest.param("merge", marks=pytest.mark.faults))


@pytest.fixture
def merge(data: Path, tmp_path: Path, tiny_model: Path) -> Work:
    """A model and an adapter become a directory of the user's."""
    path, adapter = data / "merged", make_adapter(tmp_path / "mine", seed=1)

    def begin() -> None:
        _clear(data)
        data.mkdir(parents=True)

    def check() -> None:
        if path.exists():
            assert ended(models.verify(ModelDir("x", path, "a test"))).ok
        atomic.sweep(data)
        assert not parts(data)

    adding = ("--adapter", str(adapter), "-o", str(path))
    command = ("-m", "gptcli", "models", "merge", "-q", str(tiny_model), *adding)
    return Work(command, begin, check)


def _well(work: Work, machine: Disk) -> Done:
    """A run in which nothing fails, and so what can."""
    work.begin()
    done = machine.run(*work.command)
    assert done.code == 0, done.err
    return done


def _try(work: Work, machine: Disk, at: int, how: str) -> Done:
    work.begin()
    done = machine.run(*work.command, at=at, how=how)
    assert done.failed, "the fault itself"
    return done


def _first(calls: str) -> list[int]:
    """Where the first write, flush and rename are, counted from 1."""
    return [calls.index(letter) + 1 for letter in "wsr"]


@pytest.mark.slow
@pytest.mark.parametrize("kind", WORK)
@pytest.mark.parametrize("few", [True, pytest.param(False, marks=pytest.mark.faults)])
def test_a_disk_that_fails(
    kind: str, few: bool, machine: Disk, request: pytest.FixtureRequest
) -> None:
    """Half a file that is believed, a part that stays, a traceback, or a success that is none."""
    work: Work = request.getfixturevalue(kind)
    well = _well(work, machine)
    every = [(at, how) for at in range(1, len(well.calls) + 1) for how in (FULL, BROKEN)]
    for at, how in zip(_first(well.calls), (FULL, BROKEN, FULL), strict=True) if few else every:
        done = _try(work, machine, at, how)
        assert not parts(machine.place), (at, how)
        if work.forgives:
            assert (done.code, done.out, done.err) == (0, well.out, ""), (at, how)
        else:
            # What fails is not always needed: a lock, a note, the last flush of a directory.
            assert done.code in (0, 6), (at, how, done.err)
            assert done.err.count("\n") == (done.code != 0), (at, how, done.err)
            assert done.err.startswith("gptcli: error: ") or done.code == 0, (at, how, done.err)
        work.check()


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind",
    # By the same hand as these are written the others are, which take longer to begin.
    [
        "session",
        "conversion",
        pytest.param("making", marks=pytest.mark.faults),
        pytest.param("packing", marks=[needs_kernels, pytest.mark.faults]),
    ],
)
@scale.number(100)
def test_kill_9(kind: str, times: int, machine: Disk, request: pytest.FixtureRequest) -> None:
    """Half a file under its own name, or a part that nobody ever removes."""
    work: Work = request.getfixturevalue(kind)
    calls = _well(work, machine).calls
    left = 0
    for at in [*_first(calls), *(1 + number % len(calls) for number in range(3, times))]:
        assert _try(work, machine, at, KILLED).code == -9
        left += bool(parts(machine.place))
        work.check()
    assert left, "the fault itself: some were killed in the middle of a file"


def test_the_disk_that_fails_sees_all(session: Work, machine: Disk) -> None:
    """A harness that sees no flush and no rename tries nothing of them."""
    assert {"o", "w", "s", "r"} <= set(_well(session, machine).calls)
