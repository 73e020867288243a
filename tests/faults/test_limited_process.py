"""A child that is limited: what takes too much is ended and named, whatever it is written in."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gptcli.errors import ModelError
from gptcli.text.limited_process import LimitedProcess, Limits

_WORKER = """
import ctypes, os, time
from gptcli.text.limited_worker import serve

def answer(request):
    match request:
        case {"spin": _}: 10 ** (10 ** 10)
        case {"sleep": seconds}: time.sleep(seconds)
        case {"take": count}: bytes(count)
        case {"write": count}: return {"text": "a" * count}
        case {"abort": _}: os.abort()
        case {"crash": _}: ctypes.string_at(0)
    return {"pid": os.getpid(), "cwd": os.getcwd(), "session": os.getsid(0)}

if __name__ == "__main__":
    serve(lambda: answer)
"""


@pytest.fixture
def limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Starts the worker above with limits."""
    (tmp_path / "worker_of_test.py").write_text(_WORKER)
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    made: list[LimitedProcess] = []

    def start(**limits: Any) -> LimitedProcess:
        made.append(LimitedProcess("worker_of_test", "the file", Limits(**limits)))
        return made[-1]

    yield start
    for each in made:
        each.close()


Start = Callable[..., LimitedProcess]


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        ({"spin": 1}, r"takes more than 0\.2 s"),
        ({"take": 1 << 30}, r"takes more than 67 MB of memory"),
        ({"abort": 1}, r"takes more than 67 MB of memory"),
        ({"write": 2000}, "writes without end"),
        ({"crash": 1}, r"ends the process that reads it \(-11\)"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_takes_too_much_is_named(limited: Start, request_, reason: str) -> None:
    """Catches a limit that does not hold, and a reason that is another's."""
    process = limited(seconds=0.2, memory=64 << 20, longest=1000)
    with pytest.raises(ModelError, match=f"^the file: {reason}$"):
        process.ask(request_)


def test_it_goes_on_after_it_was_ended(limited: Start) -> None:
    """Catches a broken file that costs the good ones after it their reader."""
    process = limited(seconds=0.2, memory=64 << 20)
    with pytest.raises(ModelError):
        process.ask({"take": 1 << 30})
    first = process.ask({})
    # A MemoryError is an answer; the end of the process is none.
    assert process.runs
    with pytest.raises(ModelError):
        process.ask({"spin": 1})
    assert not process.runs
    process.restart()
    assert process.ask({})["pid"] != first["pid"]


def test_only_computing_is_counted(limited: Start) -> None:
    """Catches a busy machine on which every template takes too long."""
    process = limited(seconds=0.2)
    begun = time.monotonic()
    process.ask({"sleep": 0.5})
    assert time.monotonic() - begun > 0.4


def test_it_stands_in_a_session_of_its_own(limited: Start) -> None:
    """Catches Ctrl-C in the terminal, which goes to all of a session's foreground, ending it."""
    found = limited().ask({})
    assert found["session"] == found["pid"]
