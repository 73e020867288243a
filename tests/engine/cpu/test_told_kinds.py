"""The kinds that keep a file's numbers, told by the header of its packed weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gptcli.engine.cpu import opening
from gptcli.engine.cpu.choice import KEPT, choose
from gptcli.engine.cpu.packing import kinds, made_file, packed_file
from gptcli.engine.cpu.packing.origin import packed_path
from gptcli.engine.cpu.packing.told_kinds import as_text, from_text
from gptcli.engine.describe import Described, describe
from gptcli.formats import packed_header
from tests.engine.cpu.helpers import needs_kernels
from tests.engine.helpers import GOLDENS
from tests.engine.weights import packed, wide
from tests.opening import open_kernels

pytestmark = needs_kernels
SAID = {"quant_method": "gptq", "bits": 4, "group_size": 32}
IDS = [3, 1, 4, 1, 5]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Matrices with an order of their own, of which one is kept by no kind."""
    made = [
        packed.gptq(4, 32, sym=False, dtype=torch.float32, order=order) for order in (False, True)
    ]
    names = {"layers.0.self_attn.q_proj": made[1], "1.self_attn": made[1], "_proj": made[0]}
    wide.make(tmp_path / "m", names, {"quantization_config": SAID})
    return tmp_path / "m"


def looked_at(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Whenever the tensors are looked at for their kinds."""
    before, found = kinds.kept_kinds, list[Any]()
    monkeypatch.setattr(kinds, "kept_kinds", lambda *a: found.append(a) or before(*a))
    return found


def chosen(directory: Path) -> tuple[Described, opening.KernelChoice]:
    described = describe(directory)
    choice = choose(described, "auto")
    assert choice is not None
    return described, choice


def logits(directory: Path) -> np.ndarray:
    runner = open_kernels(directory, threads=1)
    return runner.all_logits(IDS, runner.new_state())


def test_they_are_those_that_are_found(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Catches a kind, an order or a notice that is another from the second start on."""
    times = looked_at(monkeypatch)
    _, found = chosen(directory)
    expected = logits(directory)
    assert len(times) == 2
    monkeypatch.setattr(made_file, "pack_into", None)
    _, told = chosen(directory)
    assert np.array_equal(logits(directory), expected)
    assert len(times) == 2
    assert found.kinds.ordered and found.changed.matrices
    assert (told.name, told.kinds, told.changed) == (found.name, found.kinds, found.changed)
    assert list(told.changed.notices("m")) == list(found.changed.notices("m"))


def test_those_of_another_layout_are_made_again(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Catches a file of an older gptcli that keeps the kinds that it chose, or is misread."""
    expected, path = logits(directory), packed_path(directory, KEPT)
    before = path.read_bytes()
    times = looked_at(monkeypatch)
    monkeypatch.setattr(packed_file, "LAYOUT", packed_file.LAYOUT + 1)
    assert np.array_equal(logits(directory), expected)
    assert len(times) == 1 and path.read_bytes() != before
    assert np.array_equal(logits(directory), expected) and len(times) == 1


@pytest.mark.parametrize("change", ["config", "letters", "weights"])
def test_those_of_others_are_not_believed(
    directory: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    """Catches kinds that are those of weights, or of a config.json, that were there before."""
    logits(directory)
    times, path = looked_at(monkeypatch), packed_path(directory, KEPT)
    if change == "config":
        config = directory / "config.json"
        config.write_text(config.read_text().replace("{", '{"note": 1, ', 1))
    elif change == "weights":
        (stored,) = directory.glob("*.safetensors")
        stored.write_bytes(stored.read_bytes())
    else:
        with path.open("r+b") as file:
            said = packed_header.read(file)
            assert said is not None
            file.seek(0)
            file.write(packed_header.encode(said | {"kinds": said["kinds"].replace("affine", "a")}))
    chosen(directory)
    assert len(times) == 1


def test_what_is_no_text_of_the_model_is_none(directory: Path) -> None:
    """Catches a crash, or kinds for some of the matrices, where a header has something else."""
    described, choice = chosen(directory)
    spec = described.spec
    assert choice.kept is not None
    text = as_text(choice.kept, spec)
    assert text is not None
    found = from_text(text, spec)
    assert found is not None and found.kinds == choice.kinds
    other = describe(GOLDENS / "llama" / "tied").spec
    assert from_text(text, other) is None
    for wrong in ("", "[]", "null", text[:-9], text.replace('own":"', 'own":"~'), "{}"):
        assert from_text(wrong, spec) is None
