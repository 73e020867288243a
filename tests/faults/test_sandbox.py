"""Escapes from the template sandbox, and bombs: an error, soon, in little memory, and no deed."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import threading
from pathlib import Path

import jinja2
import jinja2.ext
import pytest

from gptcli.errors import ModelError
from gptcli.text.template_process import Said, TemplateProcess
from tests.faults.sandbox_escapes import DEEDS, FORMS, chains
from tests.faults.template_bombs import BOMBS

SAID = [Said("user", "hello"), Said("assistant", "there")]
ESCAPES = [*chains(), *FORMS, *DEEDS]
MEMORY, SECONDS = 256 << 20, 2.0


def test_there_are_as_many_as_are_asked_for() -> None:
    """Catches a list that is cut short."""
    assert len(set(ESCAPES)) >= 200 and len(set(BOMBS)) >= 50


def test_outside_of_the_sandbox_they_lead_out() -> None:
    """The fault itself: most chains and forms work in Jinja's common environment."""
    loose = jinja2.Environment(extensions=["jinja2.ext.do"])
    loose.globals |= {"raise_exception": lambda: 0, "strftime_now": lambda: 0, "bos_token": "<s>"}
    messages = [{"role": each.role, "content": each.content} for each in SAID]
    led_out = 0
    for source in [*chains(), *FORMS]:
        try:
            text = loose.from_string(source).render(messages=messages)
        except Exception:
            continue
        led_out += "REACHED" in text or "class" in text or "builtin" in text
    assert led_out >= 100


def test_no_escape_leads_out() -> None:
    """Catches a way out: what is found is an error, or nothing at all."""
    process = TemplateProcess("x", "t")
    for source in ESCAPES:
        process._source, process._asks = source, None
        try:
            text = process.render(SAID, {"bos_token": "<s>"}).text
        except ModelError as error:
            assert "fails: " in str(error) or "is no template: " in str(error)
        else:
            # Who renders an empty document is told that it is one.
            assert text == "", source
    assert process._process.runs, "none of them has ended it"
    process.close()


class _Peak(threading.Thread):
    """The memory that a process has at most, read again and again until it is gone."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._path = Path(f"/proc/{pid}/status")
        self.bytes = 0
        self.start()

    def run(self) -> None:
        """Read it."""
        while True:
            try:
                lines = self._path.read_text().splitlines()
                found = next(line for line in lines if line.startswith("VmHWM"))
            except (OSError, StopIteration):
                return
            self.bytes = max(self.bytes, int(found.split()[1]) << 10)


def explode(source: str) -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    process = TemplateProcess(source, "t")
    peak = _Peak(process._process._process.pid)
    with pytest.raises(ModelError) as error:
        process.render(SAID, {"bos_token": "<s>"})
    process.close()
    peak.join()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert error.value.exit_code == 3 and "\n" not in str(error.value)
    taken = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    # Beginning takes its own, which no template can change.
    assert taken < SECONDS + 0.5 and 0 < peak.bytes < MEMORY, source


@pytest.mark.slow
@pytest.mark.parametrize("place", range(0, len(BOMBS), 13))
def test_a_bomb_is_an_error(place: int) -> None:
    """Catches a template that hangs the tool or takes the machine's memory."""
    explode(BOMBS[place])


@pytest.mark.faults
@pytest.mark.parametrize("place", range(len(BOMBS)))
def test_every_bomb_is_an_error(place: int) -> None:
    """All of them."""
    explode(BOMBS[place])


@pytest.mark.slow
def test_by_the_real_binary(chat_model: Path, tmp_path: Path) -> None:
    """Catches a boundary of the tool that an error of a template does not pass as one line."""
    deed = "{{ lipsum.__globals__['os'].system('touch reached') }}"
    for source in (deed, BOMBS[3]):
        (tmp_path / "x.jinja").write_text(source)
        done = subprocess.run(
            [
                *(sys.executable, "-m", "gptcli", "chat", "-q", "-m", str(chat_model)),
                *("--chat-template", "x.jinja", "--show-prompt", "hi"),
            ],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
        )
        assert done.returncode == 3 and done.stdout == "", source
        assert done.stderr.startswith("gptcli: error: x.jinja: ") and done.stderr.count("\n") == 1
    assert os.listdir(tmp_path) == ["x.jinja"]  # noqa: PTH208
