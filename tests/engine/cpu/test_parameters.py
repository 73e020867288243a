"""A directory's weights read by numpy, against those of torch's decoder, packed alike."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from gptcli.engine.cpu.binding.library import open_library
from gptcli.engine.cpu.packing.chosen import DTYPES, kinds_of
from gptcli.engine.cpu.packing.pack import pack
from gptcli.engine.cpu.packing.sections import shapes
from gptcli.engine.torch.decoder import Decoder
from gptcli.errors import ModelError
from gptcli.formats.bfloat16 import as_bfloat16
from tests.engine.cpu.helpers import needs_kernels, parameters_of
from tests.engine.helpers import CASES, GOLDENS, SPECS, STORED, WAYS, copy_case, few_of
from tests.opening import load, open_kernels, parameters, spec_of

#: MXFP4 is dequantised by torch alone.
PLAIN = [case for case in CASES if case != "gpt_oss/mxfp4"]


def packed(directory: Path, weights, dtype: str) -> bytes:
    spec = spec_of(directory)
    made = pack(spec, kinds_of(dtype, spec), weights, open_library())
    return made.memory[: made.size].tobytes()


def assert_same(directory: Path, dtypes: Sequence[str]) -> None:
    """Packed as numpy reads the weights, and as torch's decoder has them."""
    for exact in {dtype == "float32" for dtype in dtypes}:
        ours = parameters(directory, exact=exact)
        decoder = load(directory, device="cpu", dtype="float32" if exact else "bfloat16").decoder
        theirs = parameters_of(decoder)
        for dtype in dtypes:
            if (dtype == "float32") == exact:
                made = (packed(directory, each, dtype) for each in (ours, theirs))
                assert len(set(made)) == 1, dtype


def test_shapes_are_the_decoders():
    """Catches a parameter that is forgotten, or one of another shape, in any family."""
    for case, spec in SPECS.items():
        with torch.device("meta"):
            decoder = Decoder(spec)
        expected = {name: tuple(each.shape) for name, each in decoder.named_parameters()}
        assert shapes(spec) == expected, case


@needs_kernels
@few_of(PLAIN, {*WAYS, *STORED})
def test_packed_as_from_torch(case):
    """Catches a tensor cut, turned, stacked or rounded otherwise than by torch, in any family.

    In every run those that have between them all ways to store a parameter, and all parameters.
    Of int4, some are in bfloat16, some in 8 bits: what is no float32 is read alike for all.
    """
    assert_same(GOLDENS / case, ("float32", "int4") if case in WAYS else ("float32",))


@needs_kernels
@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("case", ["llama/tied", "gpt2/tied"])
def test_packed_from_two_bytes(tmp_path, case, kind):
    """Catches float16 read as bfloat16, or rounded twice."""
    directory = copy_case(case, tmp_path / "m")
    stored = {
        n: t.to(kind).contiguous()
        for n, t in load_file(GOLDENS / case / "model.safetensors").items()
    }
    (directory / "model.safetensors").unlink()
    save_file(stored, directory / "model.safetensors")
    assert_same(directory, DTYPES)


def test_bfloat16_is_rounded_as_by_torch():
    """Catches ties, infinities, NaN and both zeros that torch rounds otherwise."""
    bits = np.random.default_rng(0).integers(0, 2**32, 200_000, dtype=np.uint32)
    edges = [0x3F808000, 0x3F818000, 0x7F7FFFFF, 0x7F800000, 0xFF800000, 0x7FFFFFFF, 0x80000000]
    values = np.concatenate([bits, np.array(edges, np.uint32)]).view(np.float32)
    found = torch.from_numpy(as_bfloat16(values).view(np.int16)).view(torch.bfloat16)
    torch.testing.assert_close(
        found, torch.from_numpy(values).bfloat16(), rtol=0, atol=0, equal_nan=True
    )


@pytest.mark.parametrize("change", ["missing", "unknown", "shape", "kind", "cut"])
def test_what_does_not_fit_is_refused_as_by_torch(tmp_path, change):
    """Catches weights that only one of the two ways takes."""
    directory = copy_case("llama/tied", tmp_path / "m")
    stored = load_file(directory / "model.safetensors")
    name = "model.layers.0.mlp.up_proj.weight"
    match change:
        case "missing":
            del stored[name]
        case "unknown":
            stored["model.layers.0.mlp.side_proj.weight"] = torch.ones(2)
        case "shape":
            stored[name] = stored[name].T.contiguous()
        case "kind":
            stored[name] = stored[name].to(torch.int8)
        case _:
            config = json.loads((directory / "config.json").read_text())
            config["num_hidden_layers"] = 4000
            (directory / "config.json").unlink()
            (directory / "config.json").write_text(json.dumps(config))
    (directory / "model.safetensors").unlink()
    save_file(stored, directory / "model.safetensors")
    with pytest.raises(ModelError) as theirs:
        load(directory)
    with pytest.raises(ModelError) as ours:
        open_kernels(directory, dtype="float32", threads=1, ctx_size=16)
    assert str(ours.value) == str(theirs.value)


@needs_kernels
def test_the_first_time_needs_no_torch(tmp_path):
    """Catches packing that reads weights by torch: seconds at the first start of every model."""
    directory = copy_case("gpt2/tied", tmp_path / "m")
    code = (
        "import sys\nfrom pathlib import Path\nfrom gptcli.engine.describe import describe\n"
        "from gptcli.engine.open import open_runner\nfrom gptcli.types.compute import Compute\n"
        f"described = describe(Path({str(directory)!r}))\n"
        "runner = open_runner(described, Compute(device='cpu', dtype='int4'))\n"
        "print(runner.facts.dtype, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["int4", "False"]
