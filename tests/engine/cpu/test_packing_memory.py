"""Packing takes little memory, however large the model is."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from gguf import GGMLQuantizationType as Kind
from gguf import GGUFWriter

from gptcli.models.gguf import in_place
from tests.engine.cpu.helpers import needs_kernels
from tests.models.conftest import VOCABULARY, add_tokenizer, finish

WIDTH, HIDDEN, LAYERS = 1024, 4096, 8
MB = 1 << 20
#: Packs argv[1] into a file; tells by how much memory grew, and how large the file is.
CODE = """
import json, resource, sys
from pathlib import Path
from gptcli.engine.cpu import opening
from gptcli.engine.cpu.packing import packed_file
from gptcli.engine.cpu.packing.parameters import Parameters
from gptcli.engine.describe import describe

described = describe(Path(sys.argv[1]))
choice = opening.choose(described, "auto")
origin, path = opening._origin(described), Path(sys.argv[1]) / "packed"

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

def make():
    parameters = Parameters(described, exact=True)
    packed_file.make(
        path, described.spec, choice.kinds, choice.library, origin, parameters, hashed=False
    )

before = peak()
make()
print(json.dumps([choice.name, peak() - before, path.stat().st_size]))
"""


@pytest.mark.slow
@needs_kernels
@pytest.mark.parametrize(("kind", "most"), [(Kind.Q4_K, 40), (Kind.TQ2_0, 120)])
def test_memory_does_not_grow_with_the_model(tmp_path: Path, kind: Kind, most: int) -> None:
    """Catches a model that is packed in memory, whole or matrix by matrix, or read and kept."""
    writer = GGUFWriter(tmp_path / "x.gguf", "llama")
    writer.add_block_count(LAYERS)
    writer.add_context_length(128)
    writer.add_embedding_length(WIDTH)
    writer.add_feed_forward_length(HIDDEN)
    writer.add_head_count(16)
    writer.add_layer_norm_rms_eps(1e-5)
    add_tokenizer(writer)
    shapes = {"attn_q": (WIDTH, WIDTH), "attn_k": (WIDTH, WIDTH), "attn_v": (WIDTH, WIDTH)}
    shapes |= {"attn_output": (WIDTH, WIDTH), "ffn_gate": (HIDDEN, WIDTH)}
    shapes |= {"ffn_up": (HIDDEN, WIDTH), "ffn_down": (WIDTH, HIDDEN)}
    every = {f"blk.{i}.{name}": shape for i in range(LAYERS) for name, shape in shapes.items()}
    for name, (rows, columns) in {"token_embd": (VOCABULARY, WIDTH), **every}.items():
        size = columns * {Kind.Q4_K: 144, Kind.TQ2_0: 66}[kind] // 256
        data = np.zeros((rows, size), np.uint8)
        writer.add_tensor(f"{name}.weight", data, raw_dtype=kind)
    norms = [f"blk.{i}.{part}_norm" for i in range(LAYERS) for part in ("attn", "ffn")]
    for name in ("output_norm", *norms):
        writer.add_tensor(f"{name}.weight", np.ones(WIDTH, np.float32))
    finish(writer)
    path = tmp_path / "x.gguf"
    in_place.write(path, [path], tmp_path, "large", "a test")
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(tmp_path)], capture_output=True, text=True, check=True
    )
    name, grown, size = json.loads(done.stdout)
    assert name == {Kind.Q4_K: "q4_k", Kind.TQ2_0: "bfloat16"}[kind]
    # A piece of rows as they are, as numbers where they are read as such, and as they are packed.
    assert grown < most * MB < size
