"""A model directory → a Runner of the kernels: weights packed once, kept, and mapped from then on.

Nothing here imports torch but the packing itself, which reads weights as every model's are read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from gptcli import config, shards, weights_header
from gptcli.engine import memory
from gptcli.engine.config_fields import ConfigFields
from gptcli.engine.kernels import packed_file
from gptcli.engine.kernels.abi import Kind
from gptcli.engine.kernels.coverage import covers
from gptcli.engine.kernels.library import KernelsUnavailableError, Library, open_library
from gptcli.engine.kernels.model import KernelModel
from gptcli.engine.kernels.pack import Packed, Parameter, pack, places
from gptcli.engine.kernels.runner import KernelRunner
from gptcli.engine.kernels.sections import Kinds
from gptcli.engine.spec import ModelSpec
from gptcli.errors import UsageError

#: What --dtype names. Embeddings of quantised models stay in bfloat16: a token reads one row. The
#: head of int4 has 8 bits, since every token's probability depends on all of it.
KINDS = {
    "float32": Kinds.all(Kind.FLOAT32),
    "bfloat16": Kinds.all(Kind.BFLOAT16),
    "int8": Kinds(Kind.INT8, Kind.INT8, Kind.BFLOAT16),
    "int4": Kinds(Kind.INT4, Kind.INT8, Kind.BFLOAT16),
}
#: Those that only the kernels have.
QUANTISED = ("int8", "int4")


def open_kernels(
    directory: Path,
    spec: ModelSpec,
    dtype: str,
    threads: int | None,
    limit: int,
    *,
    exact_activations: bool = False,
    features: str = "auto",
) -> KernelRunner | None:
    """The model in the kernels, None where torch has to run it.

    That is where no kernels were built for this machine, or where they do not cover the spec, the
    dtype, as --dtype names it, or how the weights are stored. Raises UsageError for a dtype that
    torch does not have either, and for features that are not there.
    """
    try:
        library = open_library(features)
        reason = covers(spec) or _stored_otherwise(directory)
    except KernelsUnavailableError as error:
        reason = str(error)
    if reason is not None:
        if dtype in QUANTISED:
            raise UsageError("--dtype", f"{dtype} needs the CPU kernels: {reason}")
        return None
    name = _stored_dtype(directory) if dtype == "auto" else dtype
    if name not in KINDS:
        return None
    packed = _packed(directory, spec, name, library, limit)
    model = KernelModel(
        packed,
        library,
        context=limit,
        threads=threads or 0,
        exact_activations=exact_activations,
    )
    return KernelRunner(model, spec, name, limit)


def _stored_otherwise(directory: Path) -> str | None:
    """Why the weights cannot be packed from how they are stored."""
    fields = ConfigFields.read(directory)
    for name in ("quantization_config", "compression_config"):
        if fields.get(name) is not None:
            return "the weights are stored quantised"
    return None


def _stored_dtype(directory: Path) -> str:
    """bfloat16 where most numbers are stored so, else float32."""
    counts = dict.fromkeys(("BF16", "F16", "F32"), 0)
    for file in shards.files(directory):
        for tensor in weights_header.read(file).values():
            if tensor.dtype in counts:
                counts[tensor.dtype] += tensor.elements
    return "bfloat16" if max(counts, key=lambda kind: counts[kind]) == "BF16" else "float32"


def _packed(directory: Path, spec: ModelSpec, dtype: str, library: Library, limit: int) -> Packed:
    """The packed weights, from their file, which is made where there is none."""
    kinds, source = KINDS[dtype], _source(directory)
    path = packed_path(directory, dtype)
    found = packed_file.load(path, spec, kinds, library, source)
    if found is not None:
        return found
    memory.check(
        str(directory),
        spec,
        places(spec, kinds, library)[1],
        dtype=dtype,
        item=4 if dtype == "float32" else 2,
        context=limit,
        device="cpu",
    )
    packed = pack(spec, kinds, _parameters(directory, dtype), library)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        packed_file.save(packed, path, source)
    except OSError:
        # A full or read-only disk: packed weights are a convenience, they are made anew next time.
        return packed
    # The file's pages are shared and can be given back, those that it was packed in cannot.
    return packed_file.load(path, spec, kinds, library, source) or packed


def packed_path(directory: Path, dtype: str) -> Path:
    """Where packed weights of a directory are kept."""
    path = config.packed_weights(directory)
    return path.with_name(f"{path.name}.{dtype}")


def _source(directory: Path) -> str:
    """What tells the exact weights: sizes and times of their files."""
    stats = [(file.name, file.stat()) for file in shards.files(directory)]
    said = repr([(name, stat.st_size, stat.st_mtime_ns) for name, stat in stats])
    return hashlib.sha256(said.encode()).hexdigest()


def _parameters(directory: Path, dtype: str) -> Mapping[str, Parameter]:
    """Our parameters as arrays, read and cut as torch's decoder has them."""
    from gptcli.engine.load import load

    stored = "float32" if dtype == "float32" else "bfloat16"
    decoder = load(directory, device="cpu", dtype=stored).decoder
    found: dict[str, Parameter] = {}
    for name, parameter in decoder.named_parameters():
        if stored == "float32":
            found[name] = parameter.detach().numpy()
        else:
            import torch

            found[name] = parameter.detach().contiguous().view(torch.int16).numpy().view(np.uint16)
    return found
