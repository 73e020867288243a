"""Processes that begin together with an empty cache: one does the work, all have the answer."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from gptcli.models import store
from gptcli.text.tokenizer import Tokenizer
from tests.engine.cpu.helpers import needs_kernels
from tests.faults.disk import parts
from tests.formats.tokenizer_json.spm import train
from tests.models.conftest import write_llama  # noqa: F401 - a fixture

#: Makes a model of argv[1], and packs it, at the time of argv[2]; tells what it did, and logits.
CODE = """
import sys, time
from gptcli import models
from gptcli.engine.cpu.packing import made_file, packed_file
from tests.opening import open_kernels
from tests.tasks import told

make, did = made_file.make, []
made_file.make = lambda *a, **k: did.append("packed") or make(*a, **k)
time.sleep(max(0, float(sys.argv[2]) - time.time()))
steps, model = told(models.obtain(sys.argv[1]))
did += ["made"] * any(step.label.startswith("reading") for step in steps)
runner = open_kernels(model.path, dtype="float32", threads=1)
print(*did, runner.all_logits([3, 1, 4, 1, 5], runner.new_state()).tobytes().hex())
"""


@needs_kernels
@pytest.mark.parametrize(
    "processes",
    [pytest.param(4, marks=pytest.mark.slow), pytest.param(16, marks=pytest.mark.faults)],
)
def test_one_works_and_all_answer(
    processes: int,
    tmp_path: Path,
    own_home: Path,
    write_llama,  # noqa: F811
) -> None:
    """Sixteen times the work and the memory; a name that two share; a file with a hole in it."""
    path = tmp_path / "x.gguf"
    write_llama(path)
    command = [sys.executable, "-c", CODE, str(path), str(time.time() + 0.5 + 0.4 * processes)]
    children = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(processes)
    ]
    ends = [child.communicate(timeout=300) for child in children]
    assert [(child.returncode, err) for child, (_, err) in zip(children, ends, strict=True)] == [
        (0, "")
    ] * processes
    said = [out.split() for out, _ in ends]
    assert len({words[-1] for words in said}) == 1
    assert sum("made" in words for words in said) == 1
    assert sum("packed" in words for words in said) == 1
    data = own_home / "data"
    assert not parts(data) and len(store.names()) == 1
    packed = sorted(each.name.split(".", 1)[1] for each in (data / "packed").glob("[!.]*"))
    assert packed == ["float32", "float32.seen"]


#: Cuts a text with the tokenizer of argv[1] at the time of argv[2]; tells whether it made it.
CUT = """
import sys, time
from pathlib import Path
from gptcli.text.tokenizer import Tokenizer

time.sleep(max(0, float(sys.argv[2]) - time.time()))
found = Tokenizer(Path(sys.argv[1]))
print(*found.encode("abc ade"), *("made" for _ in found.notices))
"""


@pytest.mark.parametrize(
    "processes",
    [pytest.param(4, marks=pytest.mark.slow), pytest.param(16, marks=pytest.mark.faults)],
)
def test_one_makes_a_tokenizer(processes: int, tmp_path: Path, own_home: Path) -> None:
    """Sixteen makings; a half-written file that is read; a part that stays."""
    (tmp_path / "tokenizer.model").write_bytes(train())
    command = [sys.executable, "-c", CUT, str(tmp_path), str(time.time() + 0.5 + 0.2 * processes)]
    children = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(processes)
    ]
    ends = [child.communicate(timeout=300) for child in children]
    assert [err for _, err in ends] == [""] * processes
    said = [out.split() for out, _ in ends]
    assert sum("made" in words for words in said) == 1
    ids = [int(word) for word in said[0] if word != "made"]
    assert Tokenizer(tmp_path).encode("abc ade") == ids
    assert all([int(word) for word in words if word != "made"] == ids for words in said)
    held = [each.name for each in (own_home / "data" / "tokenizers").iterdir()]
    assert len([name for name in held if not name.endswith(".lock")]) == 1, held
