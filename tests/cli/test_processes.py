"""The tool as a process: pipes that close, signals, terminals."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import time
from pathlib import Path

import pexpect
import pyte
import pytest

from tests.cli.helpers import spawn
from tests.conftest import with_context
from tests.engine.cpu.helpers import needs_kernels
from tests.faults.processes import FOREVER, GPTCLI, wait_for

pytestmark = pytest.mark.slow


def test_a_reader_that_leaves_ends_it_quietly():
    """Catches "Broken pipe" noise, or running on for nobody (`| head`)."""
    process = subprocess.Popen(
        [*GPTCLI, *FOREVER],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
    )
    assert process.stdout.read(10) == b" word word"
    process.stdout.close()
    assert process.wait(30) == -signal.SIGPIPE
    assert process.stderr.read() == b""
    process.stderr.close()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_keep_what_was_printed(number, tmp_path):
    """Catches a traceback, a code in place of the signal, or text that was held back and lost."""
    out = tmp_path / "out"
    with out.open("wb") as file:
        process = subprocess.Popen(
            [*GPTCLI, *FOREVER], stdout=file, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL
        )
        assert wait_for(lambda: out.stat().st_size > 0)
        process.send_signal(number)
        assert process.wait(30) == -number
    assert process.stderr.read() == b""
    process.stderr.close()
    assert out.read_bytes().startswith(b" word word")


def test_a_full_disk_is_one_line():
    """Catches a traceback, or success, where the output could not be written."""
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [*GPTCLI, "complete", "-m", "echo", "a"],
            stdout=full,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            timeout=60,
        )
    assert done.returncode == 6
    assert done.stderr == b"gptcli: error: output: No space left on device\n"


def screen_of(child: pexpect.spawn, columns: int = 60) -> list[str]:
    screen = pyte.Screen(columns, 24)
    pyte.Stream(screen).feed(child.before)
    return [line.rstrip() for line in screen.display]


def test_ctrl_c_on_a_terminal_starts_a_new_line():
    """Catches a prompt that the shell draws in the middle of the text."""
    child = spawn(*FOREVER)
    child.expect("word word")
    child.sendintr()
    child.expect(pexpect.EOF)
    child.close()
    assert child.signalstatus == signal.SIGINT
    assert child.before.endswith("\r\n")
    assert "Traceback" not in child.before


def test_terminal_shows_the_text_and_ends_its_line():
    """Catches escape sequences of a text that reach the terminal."""
    child = spawn("complete", "-m", "echo", "-n", "2", "\x1b[2Jab")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0
    assert screen_of(child)[0] == " \\x1b[2Jab \\x1b[2Jab"


@pytest.mark.parametrize("columns", [40, 200])
def test_help_fits_the_terminal(columns):
    """Catches help that is wider than the terminal, but for commands that are to be copied."""
    child = spawn("complete", "--help", columns=columns, NO_COLOR="1")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0
    plain = re.sub(r"\x1b\[[0-9;]*m", "", child.before)
    text, _, examples = plain.partition("Examples:")
    assert max(map(len, text.split("\r\n"))) <= columns
    prose = [line for line in examples.split("\r\n") if not line.startswith("    ")]
    assert max(map(len, prose)) <= columns


def test_no_prompt_on_a_terminal_is_an_error_at_once():
    """Catches waiting for stdin that nobody knows to type."""
    child = spawn("complete", "-m", "echo")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 2
    assert "prompt: is missing" in child.before


@pytest.mark.parametrize("flag", ["--version", "--help"])
def test_python_dash_m(flag):
    """Catches a package that runs as `gptcli` only."""
    done = subprocess.run([*GPTCLI, flag], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0
    assert done.stdout.startswith("gptcli 0." if flag == "--version" else "Usage: gptcli ")
    assert done.stderr == ""


def test_default_model_streams_in_a_terminal(with_default_model):
    """Catches a model, device or dtype that only works where tests replace it."""
    child = spawn("complete", "--temp", "0", "-n", "12", "--stats", "The capital of France is")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0
    lines = screen_of(child)
    assert lines[0].startswith(" Paris")
    assert any("tokens/s" in line for line in lines)


def test_default_model_in_a_pipe(with_default_model):
    """Catches progress or notices on stdout."""
    done = subprocess.run(
        [*GPTCLI, "complete", "--json", "--temp", "0", "-n", "1", "--logprobs", "1"],
        input="The capital of France is\n",
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    choice = json.loads(done.stdout)["choices"][0]
    assert choice["text"] == " Paris"
    assert done.stderr == ""


@needs_kernels
def test_ctrl_c_within_the_kernels(tiny_model, tmp_path):
    """Catches an interruption that waits for the end of a long prompt, or ends in a traceback."""
    model = with_context(tiny_model, tmp_path / "model", 300_000, None)
    prompt = tmp_path / "prompt.txt"
    prompt.write_text("the cat sat on the mat and the dog sat on the log, " * 6_000)
    flags = ["complete", "-m", str(model), "--threads", "2", "-n", "1", "--dtype", "float32"]
    # Packed beforehand, which torch helps with.
    subprocess.run(
        [*GPTCLI, *flags, "a"], check=True, capture_output=True, stdin=subprocess.DEVNULL
    )
    process = subprocess.Popen(
        [*GPTCLI, *flags, "-f", str(prompt)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
    )
    # This is said when the prompt is cut into tokens; to run it takes minutes.
    assert b"ends in a space" in process.stderr.readline()
    time.sleep(0.5)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=30) == (b"", b"")
    assert process.returncode == -signal.SIGINT
