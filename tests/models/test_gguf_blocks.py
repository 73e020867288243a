"""Blocks of a GGUF file are kept: what they become in torch, in the kernels, and on disk."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import gguf
import numpy as np
import pytest
import torch
from gguf import GGMLQuantizationType as Kind
from safetensors.torch import load_file, save_file

from gptcli.engine.cpu.binding.abi import Kind as Packed
from gptcli.engine.cpu.opening import KINDS, choose
from gptcli.engine.describe import describe
from gptcli.errors import ModelError
from gptcli.formats import ggml_blocks
from gptcli.models import quantised_facts as quantised
from gptcli.models.gguf import plan
from tests.cli.helpers import run
from tests.cli.test_without_torch import HEAVY, SCRIPT
from tests.engine.cpu.helpers import needs_kernels, parameters_of
from tests.engine.cpu.test_parameters import packed
from tests.models import gguf_export
from tests.models.conftest import add_tokenizer
from tests.models.test_gguf_families import CASES, checkpoint, imported
from tests.opening import load, open_kernels, parameters

KEPT = (Kind.Q8_0, Kind.Q4_0, Kind.Q4_1, Kind.Q5_0, Kind.Q5_1)
#: gpt-oss has experts in MXFP4 or woven, which config.json can say no two ways of.
FAMILIES = [case for case in CASES if not case.startswith("gpt-oss")]
every_family = pytest.mark.parametrize("case", FAMILIES)


def kind_for(case: str) -> Kind:
    """Another one for each family."""
    return KEPT[FAMILIES.index(case) % len(KEPT)]


def mixed(name: str) -> Kind:
    """Kinds that differ within a layer, within what is one matrix of the kernels, and by layer."""
    if "token_embd" in name or name.startswith("output"):
        return Kind.Q8_0
    if "attn_v" in name:
        return Kind.Q5_0
    if "ffn_down" in name:
        return Kind.Q8_0 if name.startswith("blk.1.") else Kind.Q4_0
    return Kind.Q4_1


def only_the_head(name: str) -> Kind:
    """Blocks where a name that tells of the layers alone would not say it."""
    return Kind.Q8_0 if name.startswith("output") else Kind.Q5_1


def converted(case: str, tmp_path: Path, kind) -> Path:
    checkpoint(case, tmp_path / "published")
    gguf_export.export(tmp_path / "published", tmp_path / "x.gguf", add_tokenizer, kind)
    return imported(tmp_path / "x.gguf", tmp_path / "kept")


def plain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same file converted to numbers throughout, as versions before did it."""
    with monkeypatch.context() as patch:
        patch.setattr(plan, "kept_blocks", lambda *_: None)
        return imported(tmp_path / "x.gguf", tmp_path / "plain")


@every_family
def test_every_family_in_blocks(tmp_path, monkeypatch, case):
    """Catches rows in another order, a matrix turned, a number changed, by torch or the kernels."""
    kept = converted(case, tmp_path, kind_for(case))
    numbers = plain(tmp_path, monkeypatch)
    stored = load_file(kept / "model.safetensors")
    form = kind_for(case).name
    in_blocks = [name for name in stored if ggml_blocks.form_of(name) == form]
    # All that the file has in blocks, and as many bytes of it.
    infos = gguf.GGUFReader(tmp_path / "x.gguf").tensors
    theirs = [each for each in infos if each.tensor_type.name == form]
    assert sum(stored[name].numel() for name in in_blocks) == sum(each.n_bytes for each in theirs)
    config = json.loads((kept / "config.json").read_text())
    assert config.pop("quantization_config") == {"quant_method": "gguf-blocks"}
    assert config == json.loads((numbers / "config.json").read_text())

    ours, wanted = (load(each, device="cpu", dtype="bfloat16").decoder for each in (kept, numbers))
    kept_as = dict(ours.named_parameters())
    for name, each in wanted.named_parameters():
        assert torch.equal(kept_as[name], each), name
    exact = parameters_of(load(kept, device="cpu", dtype="float32").decoder)
    for dtype, reference in (("float32", exact), ("bfloat16", parameters_of(wanted))):
        by_numpy = parameters(kept, exact=dtype == "float32")
        assert packed(kept, by_numpy, dtype) == packed(kept, reference, dtype)


@pytest.mark.parametrize("kind", KEPT)
def test_rows_are_the_files(tmp_path, write_llama, kind, monkeypatch):
    """Catches blocks that are quantised again: bytes, in the published order of rows."""
    monkeypatch.setattr(plan, "_CHUNK", 200)  # a few rows
    state = write_llama(tmp_path / "x.gguf", kind)
    found = load_file(imported(tmp_path / "x.gguf", tmp_path / "out") / "model.safetensors")
    for name, tensor in state.items():
        if tensor.ndim == 1:
            assert torch.equal(found[name], tensor.bfloat16())
            continue
        wanted = gguf.quants.quantize(tensor.float().numpy(), kind)
        assert np.array_equal(found[ggml_blocks.stored_name(name, kind.name)].numpy(), wanted), name


@needs_kernels
@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (Kind.Q8_0, "q8_0"),
        (Kind.Q4_1, "q4_1"),
        (mixed, "q4_1+q8_0+q4_0+q5_0"),
        (only_the_head, "q5_1+q8_0"),
        (Kind.Q5_1, "q5_1"),
        (Kind.F32, "float32"),
    ],
)
def test_what_auto_is_called(tmp_path, kind, name):
    """Catches a dtype that says less, or more, than what the weights have."""
    directory = converted("llama", tmp_path, kind)
    described = describe(directory)
    choice = choose(described, "auto")
    assert choice is not None and choice.name == name
    runner = open_kernels(directory, threads=1, ctx_size=32)
    assert runner.facts.dtype == name and runner.facts.itemsize == (4 if name == "float32" else 2)
    for dtype in KINDS:
        assert choose(described, dtype).kinds == KINDS[dtype]


@needs_kernels
def test_experts_of_a_layer_may_differ(tmp_path):
    """Catches activations prepared as the first expert needs them, for one that needs others."""
    directory = converted("mixtral", tmp_path, Kind.Q4_0)
    file = directory / "model.safetensors"
    stored = load_file(file)
    name = "model.layers.1.block_sparse_moe.experts.2.w1.weight"
    rows = stored.pop(f"{name}_q4_0").numpy()
    stored[name] = torch.from_numpy(ggml_blocks.dequantise(rows, "Q4_0")).bfloat16()
    file.unlink()
    save_file(stored, file)
    choice = choose(describe(directory), "auto")
    assert choice is not None
    other = {name for name, kind in choice.kinds.own.items() if kind is Packed.BFLOAT16}
    assert "layers.1.mlp.experts.2.gate.weight" in other
    assert "layers.1.mlp.experts.2.up.weight" not in other
    runner = open_kernels(directory, activations="float32", threads=1, ctx_size=32)
    ids = list(range(5, 25))
    ours = runner.all_logits(ids, runner.new_state())
    slow = load(directory, device="cpu", dtype="float32")
    theirs = slow.all_logits(ids, slow.new_state()).numpy()
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=0.02 * np.abs(theirs).max())


def test_two_ways_of_quantising_are_not_mixed(tmp_path):
    """Catches a config that tells of one of two."""
    checkpoint("gpt-oss", tmp_path / "published")

    def kind(name: str) -> Kind:
        return Kind.Q8_0

    gguf_export.export(tmp_path / "published", tmp_path / "x.gguf", add_tokenizer, kind)
    back = imported(tmp_path / "x.gguf", tmp_path / "out")
    stored = load_file(back / "model.safetensors")
    method = json.loads((back / "config.json").read_text())["quantization_config"]["quant_method"]
    kept = any(ggml_blocks.form_of(name) for name in stored)
    assert kept == (method == "gguf-blocks")
    load(back, device="cpu")


def rewritten(directory: Path, change) -> None:
    stored = load_file(directory / "model.safetensors")
    change(stored)
    (directory / "model.safetensors").unlink()
    save_file(stored, directory / "model.safetensors")


NAME = "model.layers.0.mlp.up_proj.weight"
BROKEN = {
    "twice": (
        lambda s: s.update({f"{NAME}_q4_0": torch.zeros(96, 36, dtype=torch.uint8)}),
        "twice",
    ),
    "plain too": (lambda s: s.update({NAME: torch.zeros(96, 64)}), "twice"),
    "rows": (
        lambda s: s.update({f"{NAME}_q8_0": s[f"{NAME}_q8_0"][:-1].contiguous()}),
        r"up_proj\.weight has shape \[95, 64\], not \[96, 64\]",
    ),
    "half a block": (
        lambda s: s.update({f"{NAME}_q8_0": s[f"{NAME}_q8_0"][:, :-1].contiguous()}),
        "not rows of blocks of 34 bytes",
    ),
    "floats": (lambda s: s.update({f"{NAME}_q8_0": torch.zeros(96, 68)}), "is not of dtype uint8"),
    "a vector": (
        lambda s: s.update({"model.norm.weight_q8_0": torch.zeros(1, 68, dtype=torch.uint8)}),
        "twice|shape",
    ),
}


@needs_kernels
@pytest.mark.parametrize("what", BROKEN)
def test_what_is_not_whole_is_refused(tmp_path, what):
    """Catches a file made by hand that only one of torch and numpy takes, or that ends in a bug."""
    change, words = BROKEN[what]
    directory = converted("llama", tmp_path, Kind.Q8_0)
    rewritten(directory, change)
    with pytest.raises(ModelError, match=words):
        load(directory, device="cpu")
    with pytest.raises(ModelError, match=words):
        open_kernels(directory, threads=1, ctx_size=32)
    if what == "half a block":
        with pytest.raises(ModelError, match=words):
            quantised.check(list(describe(directory).stored.tensors.values()))


def test_settings_that_are_not_known(tmp_path):
    """Catches a later form of these files that is read as this one."""
    directory = converted("llama", tmp_path, Kind.Q8_0)
    config = json.loads((directory / "config.json").read_text())
    config["quantization_config"]["version"] = 2
    (directory / "config.json").write_text(json.dumps(config))
    for opening in (
        lambda: load(directory),
        lambda: open_kernels(directory, threads=1, ctx_size=32),
    ):
        with pytest.raises(ModelError, match=r"version.* which gptcli does not know"):
            opening()


@pytest.mark.slow
@needs_kernels
def test_a_file_becomes_text_without_torch(tmp_path, write_llama):
    """Catches torch imported to convert, or to pack what was converted: seconds of waiting."""
    write_llama(tmp_path / "x.gguf", Kind.Q4_1)
    flags = ["complete", "-m", str(tmp_path / "x.gguf"), "--temp", "0", "-n", "4", "--json", "the"]
    done = subprocess.run([sys.executable, "-c", SCRIPT, *flags], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["dtype"] == "q4_1"
    assert not HEAVY & set(done.stderr.splitlines()[-1].split())


def test_plain_weights_for_others(tmp_path, monkeypatch):
    """Catches a model that only gptcli can read, and blocks told of that are no more."""
    kept = converted("llama", tmp_path, Kind.Q8_0)
    numbers = load_file(plain(tmp_path, monkeypatch) / "model.safetensors")
    done = run("models", "merge", str(kept), "-o", str(tmp_path / "merged"))
    assert done.code == 0 and "in plain weights" in done.err
    found = load_file(tmp_path / "merged" / "model.safetensors")
    assert found.keys() == numbers.keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in numbers.items())
    assert "quantization_config" not in json.loads((tmp_path / "merged/config.json").read_text())
