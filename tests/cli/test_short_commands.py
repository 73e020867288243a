"""Short commands of a shell's loop import what they use, and nothing else."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.engine.cpu.helpers import needs_kernels

pytestmark = pytest.mark.slow

#: Runs a command; the end of stderr is what it has loaded.
SCRIPT = """
import sys
from gptcli.engine.host import gpu
gpu.may_be_there = lambda: False
from gptcli.cli.boundary import main
code = main(sys.argv[1:])
print(*sys.modules, file=sys.stderr)
"""
#: What a command does without that has one text for a pipe, of a model that was packed before.
UNUSED = {
    *("typer", "rich", "pydantic", "tomllib", "subprocess", "logging", "concurrent.futures"),
    *("gptcli.cli.app", "gptcli.engine.cpu.packing.pack", "gptcli.engine.cpu.packing.parameters"),
    *("gptcli.engine.cpu.packing.made_file", "gptcli.engine.cpu.run.calibration"),
    *("gptcli.engine.weights.quantised", "gptcli.models.pip_download", "gptcli.models.hub"),
}
#: For each module of ours whether the dataclasses in it are declared by the library.
DECLARED = """
import dataclasses
print(*(n for n, m in sys.modules.items() if n.startswith("gptcli.") and n != "gptcli.plain"
        and getattr(m, "dataclass", None) is dataclasses.dataclass), file=sys.stderr)
"""


@needs_kernels
@pytest.mark.parametrize(
    "argv",
    [
        ("complete", "-n", "1", "--temp", "0", "the cat"),
        ("complete", "-n", "2", "--top-k", "5", "--seed", "1", "--json", "the cat"),
        ("top-k", "the cat"),
        ("score", "the cat sat"),
        ("choose", "--winner", "the cat", "--choice", " sat", "--choice", " ran"),
        ("tokens", "the cat"),
    ],
    ids=lambda argv: " ".join(argv[:6]),
)
def test_a_short_command_waits_for_nothing_that_it_does_not_use(tiny_model, argv):
    """Catches an import at the top of a file, or a dataclass of the library's, that every command
    of a shell's loop pays for."""
    name, *rest = argv
    quiet = () if name in {"tokens", "choose"} else ("-q",)
    line = [name, "-m", str(tiny_model), *quiet, *rest]
    program = [sys.executable, "-c", f"{SCRIPT}{DECLARED}sys.exit(code)", *line]
    # What is kept for the next time is made by the first.
    for _ in range(2):
        done = subprocess.run(program, capture_output=True, text=True, check=True, timeout=60)
    *_, loaded, declared = done.stderr.splitlines()
    assert not UNUSED & set(loaded.split())
    assert declared == ""
