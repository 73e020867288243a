"""Packing takes little memory, however large the model is."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gguf import GGMLQuantizationType as Kind
from gguf import GGUFWriter
from safetensors.torch import save_file

from gptcli.models.gguf import in_place
from tests.engine.cpu.helpers import needs_kernels
from tests.models.conftest import VOCABULARY, add_tokenizer, finish

#: As few layers as are more than what packing may take.
WIDTH, HIDDEN, LAYERS = 1024, 4096, 5
MB = 1 << 20
#: Packs argv[1] into a file; tells by how much memory grew, and how large the file is.
CODE = """
import json, sys
from pathlib import Path
from gptcli.backends.local.memory import peak_bytes
from gptcli.engine.cpu.choice import choose
from gptcli.engine.cpu import opening
from gptcli.engine.cpu.packing import made_file, packed_file
from gptcli.engine.cpu.packing.origin import origin_of
from gptcli.engine.cpu.packing.parameters import Parameters
from gptcli.engine.describe import describe

described = describe(Path(sys.argv[1]))
choice = choose(described, "auto")
origin, path = origin_of(described), Path(sys.argv[1]) / "packed"

def make():
    parameters = Parameters(described, exact=True)
    made_file.make(
        path, described.spec, choice.kinds, choice.library, origin, parameters, hashed=False
    )

before = peak_bytes("cpu")
make()
print(json.dumps([choice.name, peak_bytes("cpu") - before, path.stat().st_size]))
"""


def packed(directory: Path) -> tuple[str, int, int]:
    """What CODE tells of a model."""
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(directory)], capture_output=True, text=True, check=True
    )
    name, grown, size = json.loads(done.stdout)
    return name, grown, size


def gptq(rows: int, columns: int, group: int) -> dict[str, torch.Tensor]:
    groups = columns // group
    return {
        "qweight": torch.zeros(columns // 8, rows, dtype=torch.int32),
        "qzeros": torch.zeros(groups, rows // 8, dtype=torch.int32),
        "scales": torch.ones(groups, rows, dtype=torch.float16),
        "g_idx": torch.arange(columns, dtype=torch.int32).flip(0) // group,
    }


def fp8(rows: int, columns: int, group: int) -> dict[str, torch.Tensor]:
    return {
        "weight": torch.zeros(rows, columns, dtype=torch.float8_e4m3fn),
        "weight_scale_inv": torch.ones(rows // group, columns // group),
    }


@pytest.mark.slow
@needs_kernels
@pytest.mark.parametrize(
    ("form", "config", "kind", "most"),
    [
        (partial(gptq, group=128), {"quant_method": "gptq", "bits": 4}, "affine4_128", 30),
        # No kind has groups of 16: they become float16.
        (
            partial(gptq, group=16),
            {"quant_method": "gptq", "bits": 4, "group_size": 16},
            "float16",
            80,
        ),
        (partial(fp8, group=128), {"quant_method": "fp8"}, "float8", 30),
    ],
)
def test_checkpoints_for_gpus(
    tmp_path: Path,
    form: Callable[[int, int], dict[str, torch.Tensor]],
    config: dict[str, Any],
    kind: str,
    most: int,
) -> None:
    """Catches a checkpoint that is dequantised, or taken apart, whole before it is packed."""
    sizes = {"hidden_size": WIDTH, "intermediate_size": HIDDEN, "num_hidden_layers": LAYERS}
    sizes |= {"vocab_size": 64, "num_attention_heads": 16, "max_position_embeddings": 128}
    said = {"model_type": "llama", "tie_word_embeddings": True, "quantization_config": config}
    (tmp_path / "config.json").write_text(json.dumps(said | sizes))
    matrices = {f"self_attn.{name}_proj": (WIDTH, WIDTH) for name in "qkvo"}
    matrices |= {f"mlp.{name}_proj": (HIDDEN, WIDTH) for name in ("gate", "up")}
    matrices["mlp.down_proj"] = (WIDTH, HIDDEN)
    tensors = {"model.embed_tokens.weight": torch.zeros(64, WIDTH, dtype=torch.bfloat16)}
    norms = ["norm"]
    for layer in range(LAYERS):
        at = f"layers.{layer}"
        norms += [f"{at}.input_layernorm", f"{at}.post_attention_layernorm"]
        for name, shape in matrices.items():
            parts = form(*shape)
            tensors |= {f"model.{at}.{name}.{part}": each for part, each in parts.items()}
    tensors |= {f"model.{name}.weight": torch.ones(WIDTH) for name in norms}
    save_file(tensors, tmp_path / "model.safetensors")
    name, grown, size = packed(tmp_path)
    assert name.split("+")[0] == kind
    assert grown < most * MB < size


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
    name, grown, size = packed(tmp_path)
    assert name == {Kind.Q4_K: "q4_k", Kind.TQ2_0: "bfloat16"}[kind]
    # A piece of rows as they are, as numbers where they are read as such, and as they are packed.
    assert grown < most * MB < size
