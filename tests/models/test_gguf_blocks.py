"""A GGUF file run where it is: what its blocks are in torch and in the kernels, bit for bit."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import gguf
import numpy as np
import pytest
import torch
from gguf import GGMLQuantizationType as Kind
from safetensors.torch import load_file

from gptcli import models
from gptcli.engine.cpu import opening
from gptcli.engine.cpu.choice import choose
from gptcli.engine.cpu.packing.chosen import kinds_of
from gptcli.engine.describe import describe
from gptcli.errors import UsageError
from gptcli.formats.gguf import reading
from gptcli.formats.mapping import MappedFiles
from gptcli.types.compute import Compute
from tests.cli.helpers import run
from tests.cli.test_without_torch import HEAVY, SCRIPT
from tests.engine.cpu.helpers import needs_kernels, parameters_of
from tests.engine.cpu.test_parameters import packed
from tests.engine.helpers import few_of
from tests.models import gguf_export
from tests.models.conftest import add_tokenizer
from tests.models.test_gguf_families import CASES, FEW, checkpoint, imported
from tests.opening import load, open_kernels, parameters
from tests.tasks import ended

KEPT = (Kind.Q8_0, Kind.Q4_0, Kind.Q4_1, Kind.Q5_0, Kind.Q5_1)


def kind_for(case: str):
    """Another one for each family; whatever their shape, biases stay floats, as they do there."""
    kind = KEPT[list(CASES).index(case) % len(KEPT)]
    return lambda name: Kind.F32 if name.endswith(".bias") else kind


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


def few_bits_beside_floats(name: str) -> Kind:
    """Blocks that take more than those of int4 would, in a file that does."""
    return Kind.Q5_1 if "ffn_gate" in name else Kind.F16


def in_place(path: Path) -> Path:
    """The directory of a file that is run where it is."""
    return Path(ended(models.obtain(str(path))).path)


def exported(case: str, tmp_path: Path, kind) -> Path:
    """A case's file as a model."""
    checkpoint(case, tmp_path / "published")
    gguf_export.export(tmp_path / "published", tmp_path / "x.gguf", add_tokenizer, kind)
    return in_place(tmp_path / "x.gguf")


@few_of(CASES, FEW)
def test_every_family_in_place(tmp_path, case):
    """Catches rows in another order, a matrix turned, a number changed, by torch or the kernels."""
    kept = exported(case, tmp_path, kind_for(case))
    numbers = imported(tmp_path / "x.gguf", tmp_path / "plain")
    assert not list(kept.glob("*.safetensors"))
    config = json.loads((kept / "config.json").read_text())
    assert config == json.loads((numbers / "config.json").read_text())
    assert describe(kept).stored.in_blocks

    ours, wanted = (load(each, device="cpu", dtype="bfloat16").decoder for each in (kept, numbers))
    kept_as = dict(ours.named_parameters())
    for name, each in wanted.named_parameters():
        assert torch.equal(kept_as[name], each), name
    reference = parameters_of(wanted)
    assert packed(kept, parameters(kept), "bfloat16") == packed(kept, reference, "bfloat16")
    exact = parameters_of(load(kept, device="cpu", dtype="float32").decoder)
    by_numpy = parameters(kept, exact=True)
    assert packed(kept, by_numpy, "float32") == packed(kept, exact, "float32")


@few_of(CASES, FEW)
def test_every_family_in_floats(tmp_path, case):
    """Catches what only blocks are read right for: numbers of a file that has no blocks."""
    kept = exported(case, tmp_path, Kind.F32)
    ours = load(kept, device="cpu", dtype="float32").decoder
    wanted = load(tmp_path / "published", device="cpu", dtype="float32").decoder
    kept_as = dict(ours.named_parameters())
    for name, each in wanted.named_parameters():
        # One more than Gemma's norms is what its file holds.
        near = CASES[case][0].startswith("gemma") and "norm" in name
        tolerance = 2 * torch.finfo(torch.float32).eps if near else 0.0
        assert torch.allclose(kept_as[name], each, rtol=0, atol=tolerance), name
    by_numpy = parameters(kept, exact=True)
    assert packed(kept, by_numpy, "float32") == packed(kept, parameters_of(ours), "float32")


@pytest.mark.parametrize("kind", KEPT)
def test_rows_are_the_files(tmp_path, write_llama, kind, monkeypatch):
    """Catches blocks that are quantised again: bytes, in the published order of rows."""
    monkeypatch.setattr(reading, "CHUNK", 200)  # a few rows
    state = write_llama(tmp_path / "x.gguf", kind)
    stored, mapped = describe(in_place(tmp_path / "x.gguf")).stored, MappedFiles()
    for name, tensor in state.items():
        found = stored.tensors[name]
        if tensor.ndim == 1:
            assert np.array_equal(mapped.array(found), tensor.float().numpy())
            continue
        wanted = gguf.quants.quantize(tensor.float().numpy(), kind)
        assert np.array_equal(mapped.rows(found).bytes(), wanted), name
        numbers = gguf.quants.dequantize(wanted, kind)
        assert np.array_equal(mapped.array(found), numbers)


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
        (Kind.F16, "float16"),
        (Kind.BF16, "bfloat16"),
    ],
)
def test_what_auto_is_called(tmp_path, kind, name):
    """Catches a dtype that says less, or more, than what the weights have."""
    directory = exported("llama", tmp_path, kind)
    described = describe(directory)
    choice = choose(described, "auto")
    assert choice is not None and choice.name == name
    runner = open_kernels(directory, threads=1, ctx_size=32)
    assert runner.facts.dtype == name and runner.facts.itemsize == (
        4 if name in ("float32", "float16") else 2
    )
    for dtype in ("float32", "bfloat16", "float16"):
        assert choose(described, dtype).kinds == kinds_of(dtype, described.spec)


@needs_kernels
@pytest.mark.parametrize(
    ("kind", "dtype", "name"),
    [
        (Kind.Q8_0, "int8", "q8_0"),
        (Kind.Q4_1, "int4", "q4_1"),
        (Kind.Q4_1, "int8", "q4_1"),
        (Kind.Q8_0, "int4", "int4"),
        (few_bits_beside_floats, "int4", "int4"),
        (Kind.F32, "int4", "int4"),
    ],
)
def test_what_is_rounded_once_more_is_told(tmp_path, kind, dtype, name):
    """Catches blocks that are rounded for nothing, and those of few bits that nobody hears of."""
    directory = exported("llama", tmp_path, kind)
    runner = open_kernels(directory, threads=1, ctx_size=32, dtype=dtype)
    assert runner.facts.dtype == name
    told = [each.text for each in runner.notices]
    again = open_kernels(directory, threads=1, ctx_size=32, dtype=dtype)
    assert again.notices == runner.notices
    if kind is not few_bits_beside_floats:
        assert told == []
        return
    (text,) = told
    changed = re.search(r"blocks of few bits \(Q5_1\), .* change by ([0-9.]+)%", text)
    assert 0.5 < float(changed[1]) < 10


@needs_kernels
def test_a_text_that_weighs_nothing_is_refused(tmp_path):
    """Catches a calibration text that is read for blocks which stay as they are."""
    described, texts = describe(exported("llama", tmp_path, Kind.Q4_1)), [[1, 2, 3]]
    with pytest.raises(UsageError, match=r"--calibration: weighs nothing: .* runs as q4_1"):
        opening.open_kernels(described, Compute(dtype="int4"), texts)


@needs_kernels
def test_blocks_that_take_less_are_kept_beside_others(tmp_path):
    """Catches a file whose smallest matrices are rounded because its largest are to be."""

    def some(name: str) -> Kind:
        return Kind.Q4_0 if "ffn" in name else Kind.Q8_0

    described = describe(exported("llama", tmp_path, some))
    kinds = choose(described, "int4").kinds
    assert {kind.name for name, kind in kinds.own.items() if ".mlp." in name} == {"Q4_0"}
    assert kinds.own["layers.0.attention.query.weight"].name != "Q8_0"


@needs_kernels
@pytest.mark.parametrize("kind", [Kind.TQ2_0, Kind.F16])
def test_what_is_not_kept_is_told(tmp_path, kind, monkeypatch):
    """Catches a model that takes several times its file, and nobody knows why."""
    sizes = {"hidden_size": 256, "intermediate_size": 256, "num_attention_heads": 4}
    monkeypatch.setitem(CASES, "llama", ("llama", CASES["llama"][1] | sizes))
    runner = open_kernels(exported("llama", tmp_path, kind), threads=1, ctx_size=32)
    told = [each.text for each in runner.notices]
    if kind is Kind.F16:
        assert told == []
    else:
        (text,) = told
        assert "weights that the kernels do not keep (TQ2_0)" in text and "in bfloat16" in text


@needs_kernels
@pytest.mark.parametrize("kind", [Kind.MXFP4, Kind.Q8_0])
def test_experts_of_gpt_oss(tmp_path, kind):
    """Catches gate and up taken for each other, of a stack that is read expert by expert."""

    def only_experts(name: str) -> Kind:
        return kind if "_exps.weight" in name else Kind.F32

    sizes = ("gpt-oss", CASES["gpt-oss"][1])
    assert sizes[1]["hidden_size"] % 32 == sizes[1]["intermediate_size"] % 32 == 0
    kept = exported("gpt-oss", tmp_path, only_experts)
    numbers = imported(tmp_path / "x.gguf", tmp_path / "plain")
    config = json.loads((numbers / "config.json").read_text())
    assert (config.get("quantization_config") == {"quant_method": "mxfp4"}) == (kind is Kind.MXFP4)
    ours, wanted = (load(each, device="cpu", dtype="bfloat16").decoder for each in (kept, numbers))
    kept_as = dict(ours.named_parameters())
    for name, each in wanted.named_parameters():
        assert torch.equal(kept_as[name], each), name
    reference = parameters_of(wanted)
    assert packed(kept, parameters(kept), "bfloat16") == packed(kept, reference, "bfloat16")


@pytest.mark.slow
@needs_kernels
def test_a_file_becomes_text_without_torch(tmp_path, write_llama):
    """Catches torch imported to read a file, or to pack what is in it: seconds of waiting."""
    write_llama(tmp_path / "x.gguf", Kind.Q4_1)
    flags = ["complete", "-m", str(tmp_path / "x.gguf"), "--temp", "0", "-n", "4", "--json", "the"]
    done = subprocess.run([sys.executable, "-c", SCRIPT, *flags], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["dtype"] == "q4_1"
    assert not HEAVY & set(done.stderr.splitlines()[-1].split())


@pytest.mark.parametrize("how", ["merge", "convert"])
def test_plain_weights_for_others(tmp_path, how):
    """Catches a model that only gptcli can read, and blocks told of that are no more."""
    exported("llama", tmp_path, Kind.Q8_0)
    numbers = load_file(imported(tmp_path / "x.gguf", tmp_path / "plain") / "model.safetensors")
    done = run("models", how, str(tmp_path / "x.gguf"), "-o", str(tmp_path / "out"))
    assert done.code == 0 and str(tmp_path / "out") in done.err
    found = load_file(tmp_path / "out" / "model.safetensors")
    assert found.keys() == numbers.keys()
    assert all(torch.equal(found[name], tensor) for name, tensor in numbers.items())
    assert "quantization_config" not in json.loads((tmp_path / "out/config.json").read_text())
    again = run("models", how, str(tmp_path / "x.gguf"), "-o", str(tmp_path / "out"))
    assert again.code == 2 and "is there already" in again.err
