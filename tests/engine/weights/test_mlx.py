"""MLX's own quantisation: what the library itself makes of a weight, and whole checkpoints."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from gptcli.engine.model.config_fields import ConfigFields
from gptcli.engine.weights.quantised import mlx
from gptcli.engine.weights.quantised.tensors import QuantisedTensors
from gptcli.errors import ModelError
from gptcli.formats.mapping import MappedFiles
from gptcli.formats.safetensors import stored
from tests.engine.weights import packed, wide
from tests.opening import load, plan

MADE = Path(__file__).with_name("mlx") / "quantised.safetensors"
FORMS = sorted({name.rpartition(".")[0] for name in load_file(MADE)})


@pytest.mark.parametrize("form", FORMS)
def test_numbers_are_what_mlx_makes_of_them(form):
    """Catches an order of bits, a group or a float of four bits that the library has otherwise."""
    mode, bits, group = form.split("-")
    said = {"mode": mode, "bits": int(bits), "group_size": int(group)}
    method = mlx.method(ConfigFields("config.json", said))
    files = stored.read_one(MADE)
    own = {name: each for name, each in files.tensors.items() if name.startswith(f"{form}.")}
    files = replace(files, tensors=own)
    tensors = QuantisedTensors(files, MappedFiles(), method, lambda name: None)
    coded = tensors.coded(f"{form}.weight")
    theirs = load_file(MADE)[f"{form}.numbers"].numpy()
    assert coded.shape == theirs.shape == tensors.tensors[f"{form}.weight"].shape
    # Float32 rounds a product and a sum; the library may round once.
    for row in range(3):
        ours = coded.numbers(slice(row, row + 1))[0]
        np.testing.assert_allclose(ours, theirs[row], rtol=0, atol=3e-7 * abs(theirs[row]).max())


SIX = {"group_size": 64, "bits": 6}
LAYER = "model.layers.1.mlp.down_proj"


@pytest.mark.parametrize(("bits", "tied"), [(4, True), (5, False), (6, True), (8, False)])
def test_whole_checkpoints(tmp_path, bits, tied):
    """Catches numbers that cross a word, and an embedding that is quantised as a head is."""
    said = {"quantization": {"group_size": 64, "bits": bits, "mode": "affine"}}
    meaning = wide.make(tmp_path / "m", packed.mlx(bits, 64), said, ends=True, tied=tied)
    wide.assert_same(tmp_path / "m", meaning, tmp_path / "plain")


def test_layers_with_settings_of_their_own(tmp_path):
    """Catches one setting for all, and a copy of the settings that is read as another method."""
    said = {"group_size": 32, "bits": 4, LAYER: SIX, "lm_head": False}
    config = {"quantization": said, "quantization_config": said}
    pack = {"down_proj": packed.mlx(4, 32), "_proj": packed.mlx(4, 32), "embed": packed.mlx(4, 32)}
    meaning = wide.make(
        tmp_path / "m", {LAYER: packed.mlx(6, 64), **pack}, config, ends=True, tied=False
    )
    wide.assert_same(tmp_path / "m", meaning, tmp_path / "plain")


def test_only_a_copy_of_the_settings(tmp_path):
    """Catches settings that are looked for under one name only."""
    said = {"group_size": 128, "bits": 8}
    config = {"quantization_config": said}
    meaning = wide.make(tmp_path / "m", packed.mlx(8, 128, torch.float16), config)
    wide.assert_same(tmp_path / "m", meaning, tmp_path / "plain")


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"group_size": 64, "bits": 7}, ("'bits'", "7", "affine")),
        ({"group_size": 16, "bits": 4}, ("'group_size'", "16")),
        ({"group_size": 64, "mode": "nvfp4"}, ("'group_size'", "64", "nvfp4")),
        ({"group_size": 64, "mode": "ternary"}, ("'mode'", "ternary")),
        ({"group_size": 64, "novelty": 3}, ("'novelty'", "3")),
        ({"group_size": 64, "lm_head": {"bits": 4, "novelty": 3}}, ("lm_head", "'novelty'")),
        ({"group_size": 64, "lm_head": {"bits": 9}}, ("lm_head", "'bits'", "9")),
    ],
)
def test_settings_that_are_not_known(tmp_path, said, words):
    """Catches a setting that is ignored, or found out only after gigabytes were read."""
    wide.make(tmp_path / "m", None, {"quantization": said})
    (tmp_path / "m" / "model.safetensors").unlink()
    with pytest.raises(ModelError) as caught:
        plan(tmp_path / "m")
    line = str(caught.value)
    assert "config.json: quantization" in line and all(word in line for word in words), line


def words(*shape: int) -> torch.Tensor:
    return torch.zeros(shape, dtype=torch.uint32)


INF = torch.full((128, 4), float("inf"), dtype=torch.bfloat16)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("mlx") / "m"
    said = {"quantization": {"group_size": 64, "bits": 4}}
    wide.make(directory, packed.mlx(4, 64), said)
    return directory


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda t: t.pop(f"{LAYER}.scales"), (f"{LAYER}.scales", "missing")),
        (lambda t: t.pop(f"{LAYER}.biases"), (f"{LAYER}.biases", "missing")),
        (lambda t: t.pop(f"{LAYER}.weight"), (f"{LAYER}.weight", "missing")),
        (lambda t: t.update({f"{LAYER}.weight": words(128, 33)}), (LAYER, "groups of 64")),
        (lambda t: t.update({f"{LAYER}.weight": words(128, 24)}), (LAYER, "[128, 3]")),
        (lambda t: t.update({f"{LAYER}.biases": INF.half()}), (f"{LAYER}.biases", "bfloat16")),
        (lambda t: t.update({f"{LAYER}.biases": INF}), (f"{LAYER}.biases", "no finite number")),
        (lambda t: t.update({f"{LAYER}.scales": INF}), (f"{LAYER}.scales", "no finite number")),
    ],
)
def test_weights_that_are_not_whole(made, tmp_path, change, expected):
    """Catches a part that is missing, of another shape, or not a number, and is not named."""
    shutil.copytree(made, tmp_path / "m")
    packed.rewrite(tmp_path / "m", change)
    with pytest.raises(ModelError) as caught:
        load(tmp_path / "m", device="cpu", dtype="float32")
    assert all(word in str(caught.value) for word in expected), caught.value
