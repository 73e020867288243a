"""Commands on a CPU that the kernels cover: torch is never imported, and the text is the same."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.helpers import run
from tests.engine.cpu.helpers import needs_kernels

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
#: Runs a command; the end of stderr is what it has loaded.
SCRIPT = """
import sys
from gptcli.engine.host import gpu
gpu.may_be_there = lambda: False
from gptcli.cli.boundary import main
code = main(sys.argv[1:])
print(*sys.modules, file=sys.stderr)
sys.exit(code)
"""
HEAVY = {"torch", "safetensors", "array_api_compat", "transformers", "numpy.f2py"}


@needs_kernels
@pytest.mark.parametrize(
    "argv",
    [
        ("complete", "-q", "-n", "9", "--seed", "3", "the cat"),
        ("complete", "-q", "-n", "5", "--samples", "3", "--seed", "5", "--heal", "the ca"),
        (
            "complete",
            "-q",
            "-n",
            "9",
            "--top-p",
            "0.8",
            "--repeat-penalty",
            "1.2",
            "--seed",
            "8",
            "a",
        ),
        ("complete", "-q", "-n", "9", "--temp", "0", "--fail-below", "1e-9", "the cat"),
        ("chat", "-q", "-n", "5", "--seed", "4", "the cat"),
        ("choose", "the cat", "--choice", " sat", "--choice", " ran away"),
        ("score", "the cat sat on the mat"),
        ("top-k", "--stages", "the cat"),
        ("tree", "--depth", "2", "--width", "2", "the cat"),
        ("lens", "the cat sat"),
        ("attention", "the cat sat"),
        ("explain", "--steps", "2", "--temp", "0", "the cat sat"),
        ("explain", "--shapes", "the cat sat"),
        ("neighbors", "cat", "dog"),
        ("neighbors", "cat", "--in", "the cat sat", "--in", "a cat ran"),
    ],
    ids=lambda argv: " ".join(argv[:4]),
)
def test_the_kernels_need_no_torch(tiny_model, argv, monkeypatch):
    """Catches an import of torch anywhere on the way, and text that is not that of torch.

    Weights are packed on that way too, as at the first start of a model.
    """
    name, *rest = argv
    flags = [name, "-m", str(tiny_model), "--dtype", "float32", *rest]
    if name == "complete" and "--temp" not in rest:
        flags += ["--temp", "1.5"]
    done = without_torch(tiny_model, *flags)
    monkeypatch.setenv("GPTCLI_CPU_FEATURES", "none")
    ours, theirs = done.stdout.decode(), run(*flags).text
    assert ours
    if name in {"complete", "chat"}:
        assert ours == theirs
    for mine, other in zip(ours.split(), theirs.split(), strict=True):
        # Numbers are printed with more digits than sums in another order have in common.
        assert mine == other or float(mine) == pytest.approx(float(other), rel=1e-6, abs=1e-4)


@needs_kernels
@pytest.mark.parametrize(
    "argv",
    [
        ("lens", "--track", " cat", "the cat sat"),
        ("attention", "--mean", "the cat sat"),
        ("explain", "--temp", "0", "the cat sat"),
        ("neighbors", "--from", "cat - dog + mat"),
    ],
    ids=lambda argv: argv[0],
)
def test_numbers_and_pages_of_views_need_no_torch(tiny_model, tmp_path, argv):
    """Catches tensors in what is written to files."""
    name, *rest = argv
    npz, page = tmp_path / "a.npz", tmp_path / "a.html"
    files = ["--json", "--npz", str(npz), "--html", str(page)]
    done = without_torch(
        tiny_model, name, "-m", str(tiny_model), "--dtype", "float32", *files, *rest
    )
    assert json.loads(done.stdout)["dtype"] == "float32"
    assert npz.stat().st_size and page.stat().st_size


def without_torch(model: Path, *flags: str) -> subprocess.CompletedProcess[bytes]:
    """A command in a process of its own, which must not import anything heavy."""
    # Weights are packed with torch's help, once.
    assert run("complete", "-m", str(model), "--dtype", "float32", "-n", "1", "a").code == 0
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *flags], cwd=ROOT, capture_output=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert not HEAVY & set(done.stderr.decode().splitlines()[-1].split())
    return done


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
    without_torch(tiny_model, *line)
    code = SCRIPT.replace("sys.exit", DECLARED + "sys.exit")
    done = subprocess.run(
        [sys.executable, "-c", code, *line], capture_output=True, text=True, check=True, timeout=60
    )
    *_, loaded, declared = done.stderr.splitlines()
    assert not UNUSED & set(loaded.split())
    assert declared == ""
