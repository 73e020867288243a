"""Commands on a CPU that the kernels cover: torch is never imported, and the text is the same."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.helpers import run
from tests.engine.cpu.helpers import needs_kernels

ROOT = Path(__file__).parents[2]
HEAVY = {"torch", "safetensors", "array_api_compat", "transformers", "numpy.f2py"}
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
#: Runs command lines and tells of each what it gave, and what it was the first to load.
EACH = f"""
import json, sys
from gptcli.engine.host import gpu
gpu.may_be_there = lambda: False
from tests.cli.helpers import run
found, before = [], set()
for argv in json.load(sys.stdin):
    done, heavy = run(*argv), {HEAVY} & sys.modules.keys()
    found.append((done.code, done.text, done.err, sorted(heavy - before)))
    before |= heavy
json.dump(found, sys.stdout)
"""
TEXTS = [
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
    ("embed", "the cat sat", "--pool", "last"),
    ("top-k", "--stages", "the cat"),
    ("tree", "--depth", "2", "--width", "2", "the cat"),
    ("lens", "the cat sat"),
    ("why", "the cat sat"),
    ("ablate", "the cat sat"),
    ("ablate", "--off", "0", "-n", "2", "the cat sat"),
    ("patch", "--at", "mlp", "--clean", "the cat", "--corrupt", "a cat"),
    ("attention", "the cat sat"),
    ("explain", "--steps", "2", "--temp", "0", "the cat sat"),
    ("explain", "--shapes", "the cat sat"),
    ("neighbors", "cat", "dog"),
    ("neighbors", "cat", "--in", "the cat sat", "--in", "a cat ran"),
]
VIEWS = [
    ("lens", "--track", " cat", "the cat sat"),
    ("lens", "--parts", "head", "the cat sat"),
    ("why", "--pairs", "the cat sat"),
    ("ablate", "--each", "mlp", "the cat sat"),
    ("patch", "--clean", "the cat", "--corrupt", "a cat"),
    ("attention", "--mean", "the cat sat"),
    ("explain", "--temp", "0", "the cat sat"),
    ("neighbors", "--from", "cat - dog + mat"),
]


def flags_of(model: Path, argv: tuple[str, ...], files: Path | None = None) -> list[str]:
    """A command line for the kernels, what it shows written to files too where one is given."""
    name, *rest = argv
    flags = [name, "-m", str(model), "--dtype", "float32", *rest]
    if name == "complete" and "--temp" not in rest:
        flags += ["--temp", "1.5"]
    if files is not None:
        flags += ["--json", "--npz", f"{files / name}.npz", "--html", f"{files / name}.html"]
    return flags


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("files")


@pytest.fixture(scope="module")
def given(
    tiny_model: Path, files: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[tuple[str, ...], tuple[int, str, str, list[str]]]:
    """What each command gave in one process that has nothing of ours, packed weights neither."""
    home = tmp_path_factory.mktemp("home")
    lines = [flags_of(tiny_model, each) for each in TEXTS]
    lines += [flags_of(tiny_model, each, files) for each in VIEWS]
    done = subprocess.run(
        [sys.executable, "-c", EACH],
        cwd=ROOT,
        input=json.dumps(lines),
        capture_output=True,
        text=True,
        timeout=120,
        env={
            **{n: value for n, value in os.environ.items() if not n.startswith("GPTCLI_")},
            "HOME": str(home),
            "XDG_CONFIG_HOME": str(home),
            "XDG_RUNTIME_DIR": str(home),
            "GPTCLI_DATA_DIR": str(home / "data"),
        },
    )
    assert done.returncode == 0, done.stderr
    return dict(zip([*TEXTS, *VIEWS], json.loads(done.stdout), strict=True))


@needs_kernels
@pytest.mark.parametrize("argv", TEXTS, ids=lambda argv: " ".join(argv[:4]))
def test_the_kernels_need_no_torch(tiny_model, argv, given, monkeypatch):
    """Catches an import of torch anywhere on the way, and text that is not that of torch.

    Weights are packed on that way too, as at the first start of a model.
    """
    code, ours, err, heavy = given[argv]
    assert code == 0 and ours, err
    assert not heavy
    monkeypatch.setenv("GPTCLI_CPU_FEATURES", "none")
    theirs = run(*flags_of(tiny_model, argv)).text
    if argv[0] in {"complete", "chat"}:
        assert ours == theirs
    for mine, other in zip(ours.split(), theirs.split(), strict=True):
        # Numbers are printed with more digits than sums in another order have in common.
        assert mine == other or float(mine) == pytest.approx(float(other), rel=1e-6, abs=1e-4)


@needs_kernels
@pytest.mark.parametrize("argv", VIEWS, ids=lambda argv: argv[0])
def test_numbers_and_pages_of_views_need_no_torch(argv, given, files):
    """Catches tensors in what is written to files."""
    code, text, err, heavy = given[argv]
    assert code == 0, err
    assert not heavy
    assert json.loads(text)["dtype"] == "float32"
    for kind in ("npz", "html"):
        assert Path(f"{files / argv[0]}.{kind}").stat().st_size
