"""Ctrl-C, termination, a closed window at any moment of any subcommand: nothing is left of it."""

from __future__ import annotations

import random
import re
import signal
import termios
import time
from pathlib import Path

import pexpect
import pytest

from tests.cli.flags.test_adapters import make_adapter
from tests.cli.helpers import spawn
from tests.faults.commands import COMMANDS, keep_session, keep_tree
from tests.faults.processes import catches, marked, wait_for

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
#: Those that a person sits before, which wait for keys, beside all others.
ASKING = {"talk": "chat -m {chat}", "pick": "top-k --pick -m {model} a"} | {
    "step": "explain --step -m {model} a"
}
#: Seconds within which any of them has done its work, or waits for a key.
LONGEST = 1.2
#: What is written beside its place until it is whole.
_PART = re.compile(r"\.part$|^\.")


class Ended:
    """A command on a terminal of its own that got a signal at some moment."""

    def __init__(self, argv: list[str], number: int, seconds: float, mark: str) -> None:
        tool = spawn(*argv, columns=80, GPTCLI_TEST_MARK=mark)
        before = termios.tcgetattr(tool.child_fd)
        # Before that it is the interpreter's to end, which has its own words for Ctrl-C.
        wait_for(lambda: catches(tool.pid, signal.SIGHUP) or not tool.isalive())
        time.sleep(seconds)
        self.sent_to_one_alive = tool.isalive()
        tool.kill(number)
        tool.expect(pexpect.EOF)
        self.written: str = tool.before
        self.restored = termios.tcgetattr(tool.child_fd) == before
        tool.close()
        self.number, self.status, self.signalled = number, tool.exitstatus, tool.signalstatus
        self.left = not wait_for(lambda: not marked(mark), 10)

    def check(self) -> None:
        """It died by the signal, unless it had done its work, and left the terminal as it was."""
        if self.sent_to_one_alive and self.status != 0:
            assert self.signalled == self.number, (self.status, self.signalled, self.written)
        assert self.status in (None, 0), self.written
        assert "Traceback" not in self.written and "error: " not in self.written, self.written
        assert self.restored and not self.left
        for on, off in (("\x1b[?25l", "\x1b[?25h"), ("\x1b[?1049h", "\x1b[?1049l")):
            assert self.written.rfind(on) <= self.written.rfind(off), self.written
        assert self.written.rfind("\x1b[?2004h") <= self.written.rfind("\x1b[?2004l")


def parts(*places: Path) -> list[Path]:
    """What is not whole; locks and a mark of ours are no parts."""
    found = (path for place in places if place.exists() for path in place.rglob("*"))
    return [path for path in found if _PART.search(path.name) and "lock" not in path.name]


# Marked each by itself: `-m faults` alone leaves out what is slow.
@pytest.mark.parametrize(
    "times",
    [
        pytest.param(3, id="few", marks=pytest.mark.slow),
        pytest.param(200, id="all", marks=pytest.mark.faults),
    ],
)
def test_a_signal_at_any_moment(
    times: int, tiny_model: Path, chat_model: Path, tmp_path: Path, own_home: Path
) -> None:
    """In one of eight a signal was lost, and a closed window left parts and a raw terminal."""
    chance = random.Random(17)
    every = COMMANDS | ASKING
    signalled = 0
    make_adapter(tmp_path / "adapter", seed=1)
    keep_session()
    for turn in range(times):
        name = chance.choice(list(every)) if times > len(ENDING) else list(ASKING)[turn % 3]
        place = tmp_path / str(turn)
        place.mkdir()
        (place / "adapter").symlink_to(tmp_path / "adapter")
        keep_tree(place)
        words = every[name].format(model=tiny_model, chat=chat_model, place=place).split()
        # Each packs its weights anew, which is a part of what may be interrupted.
        for packed in own_home.glob("data/packed/*"):
            packed.unlink()
        seconds = chance.uniform(0, LONGEST)
        # In a conversation Ctrl-C stops an answer, and nothing else.
        ending = ENDING[1:] if name == "talk" else ENDING
        done = Ended(words, chance.choice(ending), seconds, f"turn-{turn}-{own_home}")
        signalled += done.signalled is not None
        done.check()
        assert not parts(place, own_home / "data"), name
    # The fault itself: they did not all come too late.
    assert signalled >= min(times, 3) - 1 and signalled > times // 10
