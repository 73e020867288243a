"""A batch that is killed again and again, and goes on each time: the bytes of one that was not."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.faults.disk import FULL, KILLED, Disk
from tests.faults.processes import GPTCLI

#: Some rows are none, so that a run which nothing stops ends with this.
ERRORS = 4


def write_rows(path: Path, count: int) -> None:
    """Rows of all sorts: with an id, settings, samples, a seed, and some that are none."""
    draw, lines = random.Random(7), []
    for at in range(count):
        row: dict[str, object] = {"prompt": " ".join(["1", "2", "3"][: 1 + at % 3]) + f" {at}"}
        row |= {"id": f"row-{at}"} if at % 2 else {}
        row |= {"max_tokens": draw.randrange(1, 5)} if at % 3 == 0 else {}
        row |= {"temperature": 1.5, "n": 2} if at % 7 == 0 else {}
        row |= {"seed": at} if at % 5 == 0 else {}
        lines.append("no JSON" if at % 97 == 4 else json.dumps(row))
    path.write_text("\n".join(lines) + "\n")


class Runs:
    """The same batch in several outputs, run whole or killed."""

    def __init__(self, place: Path, model: str, rows: int) -> None:
        self.place = place
        rows_file = place / "rows.jsonl"
        write_rows(rows_file, rows)
        self._flags = ["complete", "-m", model, "-n", "3", "--seed", "11"]
        self._flags += ["--batch", str(rows_file), "--resume"]
        begun = time.monotonic()
        self.whole = self.ended("whole.jsonl")
        self.seconds = time.monotonic() - begun
        assert self.whole.count(b"\n") == rows

    def argv(self, out: str) -> list[str]:
        """The arguments of a run."""
        return [*self._flags, "-o", str(self.place / out)]

    def ended(self, out: str) -> bytes:
        """What an output holds after a run that nothing stops."""
        done = subprocess.run([*GPTCLI, *self.argv(out)], capture_output=True, text=True)
        assert done.returncode == ERRORS, done.stderr
        assert not (self.place / f"{out}.journal").exists()
        return (self.place / out).read_bytes()

    def kept(self, out: str) -> int:
        """How many lines the journal of an output has."""
        journal = self.place / f"{out}.journal"
        return journal.read_bytes().count(b"\n") if journal.exists() else 0

    def killed(self, out: str, draw: random.Random) -> bool:
        """Whether a run died by our SIGKILL, at some moment: of all of it, or of its writing."""
        before = self.kept(out)
        child = subprocess.Popen([*GPTCLI, *self.argv(out)], stderr=subprocess.DEVNULL)
        if draw.random() < 0.7:
            while child.poll() is None and self.kept(out) == before:
                time.sleep(0.002)
            time.sleep(draw.random() * self.seconds / 4)
        else:
            time.sleep(draw.random() * self.seconds)
        child.kill()
        return child.wait() == -signal.SIGKILL


def check_killed(runs: Runs, times: int) -> None:
    """Kill so many runs; each output, begun anew whenever one is done, ends as the whole one."""
    draw, kills, outs = random.Random(3), 0, 0
    progress = 0
    while kills < times:
        outs += 1
        assert outs < 2 * times + 8, "runs end before they are killed"
        out = f"out-{outs}.jsonl"
        while kills < times and runs.killed(out, draw):
            kills += 1
            progress += runs.kept(out) > 1
        assert runs.ended(out) == runs.whole
        (runs.place / out).unlink()
    # Those that died before their first row show nothing.
    assert progress > times / 4


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rows", "times"),
    [
        pytest.param(200, 3, id="few"),
        pytest.param(1000, 500, id="all", marks=pytest.mark.faults),
    ],
)
def test_echo_is_killed_and_goes_on(tmp_path, rows, times):
    """Catches a row that is lost or twice, a torn tail that is taken for a row, another seed."""
    check_killed(Runs(tmp_path, "echo", rows), times)


@pytest.mark.faults
def test_a_model_is_killed_and_goes_on(base_model, tmp_path):
    """Catches an answer that depends on what was answered before it, or beside it."""
    check_killed(Runs(tmp_path, str(base_model), 1000), 50)


@pytest.mark.slow
@pytest.mark.parametrize("how", [KILLED, FULL])
@pytest.mark.parametrize(
    "every", [pytest.param(11, id="few"), pytest.param(1, id="all", marks=pytest.mark.faults)]
)
def test_a_disk_that_fails_at_any_write(tmp_path, how, every):
    """Catches half a record, or half an output, that is taken for a whole one; and what was done
    that is lost with a full disk.
    """
    place = tmp_path / "place"
    place.mkdir()
    runs = Runs(place, "echo", 6)
    disk = Disk(place, tmp_path / "scratch")
    calls = len(disk.run("-m", "gptcli", *runs.argv("counted.jsonl")).calls)
    # The journal's head, a record for each row, and the output beside its place.
    assert calls > 12
    failed, moments = 0, range(2, calls, every)
    for at in moments:
        out = f"out-{at}.jsonl"
        done = disk.run("-m", "gptcli", *runs.argv(out), at=at, how=how)
        failed += done.failed
        if done.failed and how == FULL:
            assert done.code == 6, done.err
            assert done.err.startswith("gptcli: error: ") and done.err.count("\n") == 1
            assert "No space left on device" in done.err
        elif done.failed:
            assert done.code == -signal.SIGKILL
        assert runs.ended(out) == runs.whole, at
    assert failed == len(moments)
