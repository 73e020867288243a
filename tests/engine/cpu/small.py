"""A small model of random weights without torch: grouped heads, a window, sizes not round."""

from __future__ import annotations

from typing import Any

import numpy as np

from gptcli.engine.cpu.binding.abi import Kind
from gptcli.engine.cpu.binding.library import open_library
from gptcli.engine.cpu.packing.pack import pack
from gptcli.engine.cpu.packing.section import Kinds
from gptcli.engine.cpu.packing.sections import sections
from gptcli.engine.cpu.run.model import KernelModel
from gptcli.engine.model.rotations import Rope
from gptcli.engine.model.spec import LayerSpec, ModelSpec, NormSpec

SPEC = ModelSpec(
    width=72,
    heads=6,
    kv_heads=2,
    head_dim=20,
    hidden=100,
    vocab=131,
    context=512,
    each_layer=(LayerSpec(Rope(10000.0, 20)), LayerSpec(Rope(10000.0, 20), window=90)),
    norm=NormSpec("rmsnorm", 1e-5),
    activation="silu",
    gated=True,
    tied=True,
)


def small_parameters(spec: ModelSpec = SPEC, seed: int = 0) -> dict[str, np.ndarray]:
    """Random weights under the decoder's names, of sizes that keep the stream near 1."""
    random = np.random.default_rng(seed)
    found = {}
    for section in sections(spec, Kinds.all(Kind.FLOAT32)):
        name, rows = section.parameter, section.rows
        if section.form == "vector":
            found[name] = (1 + 0.1 * random.normal(size=rows)).astype(np.float32)
        else:
            # A row of an embedding is the stream, or is met by it.
            size = 1 if name == "embedding.weight" else section.columns**-0.5
            numbers = size * random.normal(size=(rows, section.columns))
            found[name] = numbers.astype(np.float32)
    return found


def small_model(
    instructions: str, kinds: Kinds | None = None, spec: ModelSpec = SPEC, **flags: Any
) -> KernelModel:
    """Such a model, opened."""
    library = open_library(instructions)
    packed = pack(spec, kinds or Kinds.all(Kind.FLOAT32), small_parameters(spec), library)
    return KernelModel(packed, library, **flags)
