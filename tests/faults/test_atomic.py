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
