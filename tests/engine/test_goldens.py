"""Our logits against transformers', on tiny random checkpoints made by tests/make_goldens.py."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from gptcli.engine.load import load
from gptcli.engine.torch_runner import TorchRunner

GOLDENS = Path(__file__).parents[1] / "goldens"
CASES = sorted(str(p.parent.relative_to(GOLDENS)) for p in GOLDENS.glob("*/*/config.json"))
TOLERANCE = 3e-5


def open_case(case: str) -> tuple[TorchRunner, torch.Tensor, torch.Tensor]:
    golden = load_file(GOLDENS / case / "golden.safetensors")
    runner = load(GOLDENS / case, device="cpu", dtype="float32")
    return runner, golden["ids"], golden["logits"]


def test_there_are_goldens():
    """Catches a glob that finds nothing, with which every test below would pass."""
    assert len(CASES) >= 14


@pytest.mark.parametrize("case", CASES)
def test_all_positions_equal_transformers(case):
    """Catches any slip in the maths or in the mapping of weights."""
    runner, ids, logits = open_case(case)
    for row in range(ids.size(0)):
        ours = runner.all_logits(ids[row].tolist(), runner.new_cache())
        assert (ours - logits[row]).abs().max().item() <= TOLERANCE


@pytest.mark.parametrize("case", ["gpt2/tied", "llama/tied"])
def test_golden_logits_are_not_trivial(case):
    """Catches goldens so flat that a wrong model would be within the tolerance."""
    _, _, logits = open_case(case)
    assert logits.std() > 0.5
    assert (logits[:, 1:] - logits[:, :-1]).abs().amax(-1).min() > 0.1


def test_rope_fields_of_older_configs_mean_the_same(tmp_path):
    """Catches reading only one of the two places where configs keep rope scaling."""
    for case in ("llama/llama3", "llama/linear"):
        source = GOLDENS / case
        config = json.loads((source / "config.json").read_text())
        rope = config.pop("rope_parameters")
        config["rope_theta"] = rope.pop("rope_theta")
        rope["type"] = rope.pop("rope_type")
        config["rope_scaling"] = rope
        directory = tmp_path / case
        directory.mkdir(parents=True)
        (directory / "config.json").write_text(json.dumps(config))
        (directory / "model.safetensors").symlink_to(source / "model.safetensors")
        runner = load(directory, device="cpu", dtype="float32")
        golden = load_file(source / "golden.safetensors")
        ours = runner.all_logits(golden["ids"][0].tolist(), runner.new_cache())
        assert (ours - golden["logits"][0]).abs().max().item() <= TOLERANCE


def test_names_without_prefix_and_ignored_tensors(tmp_path):
    """Catches refusing the first GPT-2 checkpoints: no `transformer.`, masks stored as tensors."""
    source = GOLDENS / "gpt2/tied"
    tensors = load_file(source / "model.safetensors")
    renamed = {name.removeprefix("transformer."): t for name, t in tensors.items()}
    renamed["h.0.attn.bias"] = torch.ones(1, 1, 48, 48, dtype=torch.uint8)
    renamed["h.1.attn.masked_bias"] = torch.tensor(-1e4)
    renamed["lm_head.weight"] = renamed["wte.weight"].clone()
    save_file(renamed, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_bytes((source / "config.json").read_bytes())
    runner = load(tmp_path, device="cpu", dtype="float32")
    golden = load_file(source / "golden.safetensors")
    ours = runner.all_logits(golden["ids"][0].tolist(), runner.new_cache())
    assert (ours - golden["logits"][0]).abs().max().item() <= TOLERANCE
