"""Checkpoints for GPUs, and MLX's, in the kernels as they are stored, against torch in float32."""

from __future__ import annotations

import functools
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gptcli.engine.cpu.binding.abi import FLOATS, Kind, Met
from gptcli.engine.cpu.choice import KEPT, choose
from gptcli.engine.cpu.packing.coded import CodedRows
from gptcli.engine.cpu.packing.origin import packed_path
from gptcli.engine.cpu.packing.pack import pack
from gptcli.engine.cpu.packing.parameters import Parameters
from gptcli.engine.cpu.run.model import KernelModel
from gptcli.engine.describe import describe
from gptcli.errors import ModelError
from tests.engine.cpu import stages
from tests.engine.cpu.helpers import SETS, Session, library, needs_kernels
from tests.engine.helpers import GOLDENS, copy_case, golden_of, rows_of
from tests.engine.weights import packed, packed_compressed, wide
from tests.opening import load, open_kernels

pytestmark = needs_kernels
GPTQ = {"quant_method": "gptq", "bits": 4, "group_size": 128}
AWQ = {"quant_method": "awq", "bits": 4, "group_size": 64}
FP8 = {"quant_method": "fp8"}
NVFP4 = {"quant_method": "modelopt", "quant_algo": "NVFP4"}
F32 = torch.float32
BLOCKS = set(Kind) - set(FLOATS)


def gptq(bits: int, size: int, **how: Any) -> tuple[packed.Pack, dict[str, Any]]:
    said = GPTQ | {"bits": bits, "group_size": size}
    return packed.gptq(bits, size, sym=False, dtype=F32, **how), {"quantization_config": said}


def mlx(bits: int, size: int) -> tuple[packed.Pack, dict[str, Any]]:
    return packed.mlx(bits, size, F32), {"quantization": {"group_size": size, "bits": bits}}


#: A packer of float32 scales, so that torch rounds nothing; config.json; the kind of the layers.
CASES: dict[str, tuple[packed.Pack, dict[str, Any], str]] = {
    "gptq-32": (*gptq(4, 32), "affine4_32"),
    "gptq-64": (*gptq(4, 64), "affine4_64"),
    "gptq-128": (*gptq(4, 128), "affine4_128"),
    "gptq-8-bits": (*gptq(8, 128), "affine8_128"),
    "gptq-whole-rows": (*gptq(8, -1), "affine8_128"),
    "gptq-order": (*gptq(4, 32, order=True), "affine4_32"),
    "awq": (packed.awq(64, dtype=F32), {"quantization_config": AWQ}, "affine4_64"),
    "mlx-3": (*mlx(3, 64), "affine4_64"),
    "mlx-5": (*mlx(5, 64), "affine5_64"),
    "mlx-6": (*mlx(6, 128), "affine6_64"),
    "mlx-6-32": (*mlx(6, 32), "affine8_32"),
    "mlx-8": (*mlx(8, 64), "affine8_64"),
    "fp8-blocks": (packed.fp8((128, 128)), {"quantization_config": FP8}, "float8"),
    "fp8-rows": (
        packed.fp8((1, 0), name="weight_scale"),
        {"quantization_config": {"quant_method": "fbgemm_fp8"}},
        "float8",
    ),
    "nvfp4": (packed.nvfp4(), {"quantization_config": NVFP4}, "nvfp4"),
    "gptq-v2": (*gptq(4, 64, version=2), "affine4_64"),
    "awq-8-bits": (
        packed.awq(128, bits=8, dtype=F32),
        {"quantization_config": AWQ | {"bits": 8, "group_size": 128}},
        "affine8_128",
    ),
    "w4a16": (*packed_compressed.whole(4, 128, sym=True), "affine4_128"),
    "w4a16-zeros": (*packed_compressed.whole(4, 32, sym=False), "affine4_32"),
    "w4a16-order": (*packed_compressed.whole(4, 64, sym=False, order=True), "affine4_64"),
    "w8a16": (*packed_compressed.whole(8, -1, sym=True), "affine8_128"),
    "w8a16-bytes": (*packed_compressed.whole(8, 64, sym=False, words=False), "affine8_64"),
    "nvfp4-divided": (*packed_compressed.nvfp4(), "nvfp4"),
    "mxfp4": (*packed_compressed.mxfp4(), "mxfp4"),
    "fp8-tensor": (
        packed.fp8(None, name="weight_scale"),
        {"quantization_config": {"quant_method": "modelopt", "quant_algo": "FP8"}},
        "float8",
    ),
}
#: One for each kind, and those with an order of their own: how others store a kind is told by what
#: is read out of their blocks.
FEW = {
    *{kind: case for case, (_, _, kind) in reversed(CASES.items())}.values(),
    *("gptq-order", "w4a16-order"),
}


@functools.cache
def made(case: str) -> Path:
    """The checkpoint, made once."""
    directory = Path(tempfile.mkdtemp()) / case
    pack_, config, _ = CASES[case]
    wide.make(directory, pack_, config, ends="mlx" in case, tied=case == "mlx-6")
    return directory


def near_torch(
    directory: Path, rows: list[list[int]], expected: list[np.ndarray], met: Met, apart: float
) -> str:
    """In float32 but for the weights, on every set of instructions; the name of the dtype."""
    described = describe(directory)
    choice = choose(described, "auto")
    assert choice is not None
    weights = pack(described.spec, choice.kinds, Parameters(described, exact=True), choice.library)
    for instructions in SETS:
        model = KernelModel(weights, library(instructions), threads=2, met=met)
        session = Session(model, batch=len(rows))
        # Some tokens at once, then one by one, as decoding does.
        parts = session.run([row[:-2] for row in rows])
        for at in (-2, -1):
            steps = session.run([row[at:][:1] for row in rows])
            parts = [np.concatenate(pair) for pair in zip(parts, steps, strict=True)]
        model.close()
        for ours, theirs in zip(parts, expected, strict=True):
            error = np.abs(ours - theirs).max() / np.abs(theirs).max()
            assert error <= apart, f"{instructions}: {error:.1e}"
    return choice.name


@pytest.mark.parametrize(("met", "apart"), [(Met.FLOAT32, 1e-5), (Met.INT16, 1e-4)])
@pytest.mark.parametrize(
    "case", [each if each in FEW else pytest.param(each, marks=pytest.mark.slow) for each in CASES]
)
def test_equals_torch(case, met, apart):
    """Catches a code, scale, zero point or order at another place, and a number that is rounded."""
    directory = made(case)
    expected = wide.logits(directory).numpy()
    name = near_torch(directory, [wide.IDS], [expected], met, apart)
    kind = CASES[case][2]
    assert name == (kind if "mlx" in case else f"{kind}+float32")


def read_out(directory: Path) -> Iterator[tuple[Kind, np.ndarray, np.ndarray]]:
    """Of each matrix in codes its kind, its numbers from packed blocks, and as they are stored."""
    parameters = Parameters(describe(directory), exact=True)
    for name in (name for name in parameters if parameters.kind(name) in BLOCKS):
        matrix = parameters[name]
        assert isinstance(matrix, CodedRows) and matrix.form is not None, name
        (rows, columns), every = matrix.shape, slice(0, matrix.shape[0])
        panels = stages.packed(matrix.blocks(every), columns, matrix.form, matrix.form)
        which, shape = np.arange(rows), (rows, columns)
        ours = stages.read("portable", panels, matrix.form, which, shape, matrix.scale)
        theirs = matrix[every] if matrix.order is None else matrix[every][:, matrix.order]
        yield matrix.form, ours, theirs


@pytest.mark.parametrize("case", CASES)
def test_what_is_read_out_are_the_numbers(case):
    """Catches blocks that keep another number than the checkpoint means."""
    found = list(read_out(made(case)))
    assert len(found) >= 2 * 7
    for kind, ours, theirs in found:
        # A scale times a zero point in float32, and a factor of all of NVFP4, round on their own.
        rounded = kind is Kind.NVFP4 or kind.name.startswith("AFFINE")
        largest = np.abs(theirs).max(1, keepdims=True) * rounded
        assert (np.abs(ours - theirs) <= 2**-22 * largest).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize(("bits", "size"), [(4, 128), (8, -1)])
def test_scales_of_half_the_bits_round_nothing(dtype, bits, size, tmp_path):
    """Catches a bit that is lost where products of a scale fit float32, as those published do."""
    pack_ = packed.gptq(bits, size, sym=False, dtype=dtype)
    said = GPTQ | {"bits": bits, "group_size": size}
    wide.make(tmp_path / "m", pack_, {"quantization_config": said}, dtype=dtype)
    for _, ours, theirs in read_out(tmp_path / "m"):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("case", ["gpt2/tied", "phi3/window", "gpt_neox/parallel", "phi/plain"])
@pytest.mark.parametrize("how", [{"sym": True}, {"sym": False, "order": True}])
def test_fused_and_transposed_weights(case, how, tmp_path):
    """Catches rows that are cut at another place, turned, or read in the order of others."""
    size = 8 if how.get("order") else -1
    pack_ = packed.gptq(4, size, dtype=F32, **how)
    said = GPTQ | {"group_size": size}
    packed.quantise(case, tmp_path / "m", pack_, said, transposed="gpt2" in case)
    runner, rows = load(tmp_path / "m", dtype="float32"), [list(row) for row in rows_of(case)]
    expected = [runner.all_logits(row, runner.new_state()).numpy() for row in rows]
    if size == -1:
        name = near_torch(tmp_path / "m", rows, expected, Met.FLOAT32, 1e-5)
        assert "affine4" in name
    else:
        # No block of the kernels has so small groups: they run, in a dtype that torch rounds to.
        found = open_kernels(tmp_path / "m", dtype="float32")
        ours = [found.all_logits(row, found.new_state()) for row in rows]
        largest = max(np.abs(each).max() for each in expected)
        assert max(map(np.ptp, np.subtract(ours, expected))) <= 1e-4 * largest
        kept = open_kernels(tmp_path / "m")
        (told,) = kept.notices
        assert "affine" not in kept.facts.dtype
        assert "do not keep (4 bits in groups of 8): they take" in told.text


def test_experts_in_mxfp4_stay_in_it():
    """Catches OpenAI's layout read as ggml's, and gate and up in each other's place."""
    case = "gpt_oss/mxfp4"
    golden = golden_of(case)
    time = golden["logits"].size(1)
    rows = [row[:time] for row in golden["ids"].tolist()]
    expected = [each.numpy() for each in golden["logits"]]
    name = near_torch(GOLDENS / case, rows, expected, Met.FLOAT32, 1e-5)
    assert name == "mxfp4+float32"


def test_matrices_that_read_the_same_need_one_order(tmp_path):
    """Catches a query that is met in the order of the key: such matrices are dequantised."""
    (plain, config), (ordered, _) = gptq(4, 32), gptq(4, 32, order=True)
    pack_ = {"layers.0.self_attn.q_proj": ordered, "1.self_attn": ordered, "_proj": plain}
    wide.make(tmp_path / "m", pack_, config)
    choice = choose(describe(tmp_path / "m"), "auto")
    kinds, changed = choice.kinds, choice.changed
    assert changed.forms == ("inputs in an order of their own",) and changed.matrices == 1
    assert kinds.own["layers.0.attention.query.weight"] is not Kind.AFFINE4_32
    assert kinds.own["layers.0.attention.key.weight"] is Kind.AFFINE4_32
    assert kinds.ordered == {
        f"layers.1.attention.{name}.weight" for name in ("query", "key", "value", "out")
    }
    expected = wide.logits(tmp_path / "m").numpy()
    near_torch(tmp_path / "m", [wide.IDS], [expected], Met.FLOAT32, 1e-2)


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16", "int8", "int4"])
def test_a_dtype_that_is_asked_for(dtype):
    """Catches codes that are kept where floats are asked for, or rounded in between."""
    runner = open_kernels(made("gptq-128"), dtype=dtype)
    # Codes that take less than int8 stay; of int4's these are fewer bits than some matrices get.
    assert runner.facts.dtype == {"int8": "affine4_128+float32"}.get(dtype, dtype)
    ours = runner.all_logits(wide.IDS, runner.new_state())
    expected = wide.logits(made("gptq-128")).numpy()
    apart = {"float32": 1e-5, "float16": 5e-3, "bfloat16": 5e-2, "int8": 5e-2, "int4": 0.7}[dtype]
    assert np.abs(ours - expected).max() <= apart * np.abs(expected).max()


def test_float16_stays_float16(tmp_path):
    """Catches twice the memory, and numbers rounded to bfloat16, for a checkpoint in float16."""
    wide.make(tmp_path / "m", None, {}, dtype=torch.float16)
    expected = wide.logits(tmp_path / "m").numpy()
    runner = open_kernels(tmp_path / "m")
    assert runner.facts.dtype == "float16"
    ours = runner.all_logits(wide.IDS, runner.new_state())
    assert np.abs(ours - expected).max() <= 1e-5 * np.abs(expected).max()


def test_packed_once_and_opened_without_torch(tmp_path):
    """Catches torch, which takes a second to import, for what the kernels run by themselves."""
    some = ("gptq-order", "mlx-6", "nvfp4", "fp8-rows", "awq", "w4a16-zeros")
    cases = [str(made(case)) for case in some]
    code = f"""
import json, sys
from pathlib import Path
from gptcli.engine import describe, open
from gptcli.types.compute import Compute
names = []
for directory in {[*cases, str(GOLDENS / "gpt_oss" / "mxfp4")]}:
    for _ in range(2):
        runner = open.open_runner(describe.describe(Path(directory)), Compute(device="cpu"))
    names.append(runner.facts.dtype)
    runner.all_logits([1, 2, 3], runner.new_state())
assert "torch" not in sys.modules
print(json.dumps(names))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    kinds = [CASES[case][2] + ("" if "mlx" in case else "+float32") for case in some]
    assert json.loads(done.stdout) == [*kinds, "mxfp4+float32"]


@pytest.mark.parametrize("case", ["gptq-32", "mlx-5", "fp8-rows", "nvfp4"])
def test_what_is_no_number_leaves_no_packed_file(case, tmp_path):
    """Catches a scale that is infinite and runs, and a half-written file."""
    directory = copy_case(str(made(case)), tmp_path / "m")
    part = {"fp8-rows": "weight_scale", "nvfp4": "weight_scale_2"}.get(case, "scales")

    def spoil(tensors: packed.Tensors) -> None:
        tensors[f"model.layers.1.mlp.down_proj.{part}"].view(-1)[-1:].fill_(float("inf"))

    packed.rewrite(directory, spoil)
    with pytest.raises(ModelError, match=rf"down_proj\.{part} holds what is no finite number"):
        open_kernels(directory)
    assert not packed_path(directory, KEPT).exists()
