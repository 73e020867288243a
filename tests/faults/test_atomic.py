"""A file is whole or not there, and nothing is left beside it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gptcli import atomic


def test_a_block_that_fails_leaves_the_old_file_and_nothing_beside(tmp_path: Path) -> None:
    """A full disk left half-written files that took what was left of the disk."""
    path = tmp_path / "kept"
    path.write_bytes(b"old")
    with pytest.raises(OSError, match="full"), atomic.replacing(path) as file:
        file.write(b"new")
        assert len(list(tmp_path.iterdir())) == 2
        raise OSError("full")
    assert path.read_bytes() == b"old" and [each.name for each in tmp_path.iterdir()] == ["kept"]


def test_parts_of_the_dead_are_swept_and_those_of_the_living_are_not(tmp_path: Path) -> None:
    """kill -9 leaves a part that nobody would ever remove; another's, half written, must stay."""
    path = tmp_path / "kept[1]"
    code = (
        "import os, sys; from pathlib import Path; from gptcli import atomic\n"
        "with atomic.replacing(Path(sys.argv[1])) as file: os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code, str(path)])
    assert len(list(tmp_path.iterdir())) == 1, "the fault itself: a part is left"
    with atomic.replacing(path) as living:
        living.write(b"first")
        assert len(list(tmp_path.iterdir())) == 1
        with atomic.replacing(path) as second:
            assert len(list(tmp_path.iterdir())) == 2
            second.write(b"second")
    assert path.read_bytes() == b"first" and len(list(tmp_path.iterdir())) == 1


def test_a_directory_is_whole_or_not_there(tmp_path: Path) -> None:
    """Half of a model under its name; the old one gone before the new one is there."""
    path = tmp_path / "kept"
    path.mkdir()
    (path / "old").touch()
    with pytest.raises(OSError, match="full"), atomic.replacing_directory(path, over=True) as new:
        (new / "half").touch()
        raise OSError("full")
    assert [each.name for each in tmp_path.rglob("*")] == ["kept", "old"]
    with pytest.raises(OSError), atomic.replacing_directory(path) as new:
        (new / "new").touch()
    assert [each.name for each in tmp_path.rglob("*")] == ["kept", "old"]
    with atomic.replacing_directory(path, over=True) as new:
        (new / "new").touch()
    assert [each.name for each in tmp_path.rglob("*")] == ["kept", "new"]
    atomic.discard(path)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(FileNotFoundError):
        atomic.discard(path)
    assert list(tmp_path.iterdir()) == []


def test_directories_of_the_dead_are_swept_and_those_of_the_living_are_not(tmp_path: Path) -> None:
    """A killed conversion leaves gigabytes."""
    code = (
        "import os, sys; from pathlib import Path; from gptcli import atomic\n"
        "with atomic.replacing_directory(Path(sys.argv[1])) as place:\n"
        "    (place / 'half').touch(); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "dead")])
    assert [each.name for each in tmp_path.rglob("*")][1:] == ["half"], "the fault itself"
    with atomic.replacing_directory(tmp_path / "living") as living:
        (living / "half").touch()
        with atomic.replacing(tmp_path / "other"):
            assert len(list(tmp_path.iterdir())) == 2
    assert sorted(each.name for each in tmp_path.iterdir()) == ["living", "other"]


def test_what_only_looks_like_a_part_stays(tmp_path: Path) -> None:
    """A person's own file, a link to one, a pipe that would be waited for."""
    (tmp_path / ".x.0123456789.gptcli-part").touch()
    (tmp_path / ".x.01234567.part").touch()
    (tmp_path / "mine").touch()
    (tmp_path / ".x.01234567.gptcli-part").symlink_to(tmp_path / "mine")
    os.mkfifo(tmp_path / ".x.11234567.gptcli-part")
    before = sorted(tmp_path.iterdir())
    with atomic.replacing(tmp_path / "x"):
        pass
    (tmp_path / "x").unlink()
    assert sorted(tmp_path.iterdir()) == before


def test_a_name_as_long_as_names_can_be(tmp_path: Path) -> None:
    """Beside it there is no room for a longer one."""
    for name in ("x" * 255, "ä" * 127, "😀" * 63):
        with atomic.replacing(tmp_path / name) as file:
            file.write(b"x")
        assert (tmp_path / name).read_bytes() == b"x"


def test_a_part_that_a_sweep_takes_is_begun_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the making of a part and its lock it looks left over."""
    hold, taken = atomic._hold, []

    def late(descriptor: int, part: Path) -> bool:
        if not taken:
            taken.append(part)
            atomic.sweep(tmp_path)
            assert not part.exists(), "the fault itself"
        return hold(descriptor, part)

    monkeypatch.setattr(atomic, "_hold", late)
    with atomic.replacing(tmp_path / "x") as file:
        file.write(b"x")
    assert (tmp_path / "x").read_bytes() == b"x" and len(taken) == 1


@pytest.mark.parametrize("private", [True, False])
def test_who_may_read_it(tmp_path: Path, private: bool) -> None:
    """mkstemp's own is 0600: a model that others share must have what the umask says."""
    before = os.umask(0o027)
    try:
        with atomic.replacing(tmp_path / "x", private=private):
            pass
    finally:
        os.umask(before)
    assert (tmp_path / "x").stat().st_mode & 0o777 == (0o600 if private else 0o640)
