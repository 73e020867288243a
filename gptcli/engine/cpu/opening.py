"""A described model → a Runner of the kernels: weights packed once, kept, and mapped from then on.

Nothing here imports torch.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from gptcli import atomic, config, identity
from gptcli.engine.cpu.binding.abi import Kind, Met
from gptcli.engine.cpu.binding.coverage import covers
from gptcli.engine.cpu.binding.library import (
    KernelsUnavailableError,
    Library,
    default_threads,
    open_library,
)
from gptcli.engine.cpu.packing import packed_file
from gptcli.engine.cpu.packing.kinds import kept_kinds
from gptcli.engine.cpu.packing.memory import PackedWeights, places
from gptcli.engine.cpu.packing.pack import pack
from gptcli.engine.cpu.packing.packed_file import Origin
from gptcli.engine.cpu.packing.parameters import Parameters
from gptcli.engine.cpu.packing.sections import Kinds
from gptcli.engine.cpu.run.model import KernelModel
from gptcli.engine.cpu.run.model_struct import scratch_bytes
from gptcli.engine.cpu.run.runner import KernelRunner
from gptcli.engine.describe import Described
from gptcli.engine.host import memory
from gptcli.engine.model.spec import ModelSpec
from gptcli.engine.model.stored_blocks import keeps_ggml_blocks
from gptcli.engine.runner import context_in_use
from gptcli.engine.weights.matching import check_counts
from gptcli.engine.weights.placement import MXFP4
from gptcli.errors import ModelError, UsageError
from gptcli.formats.safetensors.header import StoredTensor
from gptcli.types.compute import Compute

#: What --dtype names. Embeddings of quantised models stay in bfloat16: a token reads one row. The
#: head of int4 has 8 bits, since every token's probability depends on all of it.
KINDS = {
    "float32": Kinds.all(Kind.FLOAT32),
    "bfloat16": Kinds.all(Kind.BFLOAT16),
    "int8": Kinds(Kind.Q8_0, Kind.Q8_0, Kind.BFLOAT16),
    "int4": Kinds(Kind.Q4_1, Kind.Q8_0, Kind.BFLOAT16),
}
#: What --activations names; by default answers do not depend on their rounding.
MET = {"auto": Met.INT16, "int8": Met.INT8, "int16": Met.INT16, "float32": Met.FLOAT32}
#: Those that only the kernels have.
QUANTISED = ("int8", "int4")
#: What packed weights are kept under in place of a dtype, where they are blocks of several kinds.
KEPT = "blocks"
#: So long one process waits for another that packs, before it packs for itself.
_WAIT_SECONDS = 600


@dataclass(frozen=True)
class KernelChoice:
    """Which kernels, and the kinds of the weights; name: what to call the dtype."""

    library: Library
    name: str
    kinds: Kinds

    def bytes(self, spec: ModelSpec) -> int:
        """How much memory the packed weights take."""
        return places(spec, self.kinds, self.library)[1]

    def scratch(self, spec: ModelSpec, context: int, threads: int) -> int:
        """What so many threads compute with beside weights and cache."""
        return scratch_bytes(spec, self.library, context, threads)


def open_kernels(described: Described, compute: Compute) -> KernelRunner | None:
    """The model in the kernels, None where torch has to run it.

    Raises UsageError for more context than the model has, and the errors of `choose` and of reading
    weights. Adapters and the device are not looked at.
    """
    limit = context_in_use(described.spec, compute.ctx_size)
    choice = choose(described, compute.dtype, compute.cpu_features)
    if choice is None:
        return None
    packed = _packed(described, choice, limit, compute.threads or default_threads())
    model = KernelModel(
        packed,
        choice.library,
        context=limit,
        threads=compute.threads or 0,
        met=MET[compute.met_as],
    )
    return KernelRunner(model, described.spec, choice.name, limit)


def choose(described: Described, dtype: str, features: str = "auto") -> KernelChoice | None:
    """In what the kernels would run a model, None where torch has to.

    That is where no kernels were built for this machine, or where they do not cover the spec, the
    dtype, as --dtype names it, or how the weights are stored. `auto` is the dtype of the file, and
    where that has blocks of GGUF's, these. Raises UsageError for a dtype that torch does not have
    either and for features that are not there, and ModelError.
    """
    config, spec = described.config, described.spec
    try:
        library = open_library(features)
        reason = covers(spec)
    except KernelsUnavailableError as error:
        reason = str(error)
    if reason is None:
        check_counts(config.subject, spec, described.stored)
        reason = _stored_otherwise(described)
    if reason is not None:
        if dtype in QUANTISED:
            raise UsageError("--dtype", f"{dtype} needs the CPU kernels: {reason}")
        return None
    if dtype == "auto" and keeps_ggml_blocks(config):
        return KernelChoice(library, *kept_kinds(Parameters(described, exact=True), spec))
    name = _stored_dtype(described.stored.tensors.values()) if dtype == "auto" else dtype
    return KernelChoice(library, name, KINDS[name]) if name in KINDS else None


def _stored_otherwise(described: Described) -> str | None:
    """Why the weights cannot be packed from how they are stored."""
    config = described.config
    said = any(config.get(name) for name in ("quantization_config", "compression_config"))
    if said and not keeps_ggml_blocks(config):
        return "the weights are stored quantised"
    # Told by their tensors where config.json says nothing: 8-bit floats, and MXFP4.
    for name, tensor in described.stored.tensors.items():
        if tensor.kind == "F8_E4M3" or (tensor.kind == "U8" and name.endswith(MXFP4[0])):
            return "the weights are stored quantised"
    return None


def _stored_dtype(tensors: Iterable[StoredTensor]) -> str:
    """bfloat16 where most numbers are stored so, else float32."""
    counts: Counter[str] = Counter()
    for tensor in tensors:
        counts[tensor.kind] += tensor.elements
    return "bfloat16" if counts["BF16"] > max(counts["F16"], counts["F32"]) else "float32"


def _packed(described: Described, choice: KernelChoice, limit: int, threads: int) -> PackedWeights:
    """The packed weights, from their file, which is made where there is none that fits."""
    name, kinds, spec = choice.name, choice.kinds, described.spec
    path = packed_path(described.directory, name if KINDS.get(name) == kinds else KEPT)
    origin = _origin(described)

    def load(*, unseen: bool) -> PackedWeights | None:
        found = packed_file.load(path, spec, kinds, choice.library, origin, unseen=unseen)
        if found is not None:
            _check_memory(described, choice, found.size, limit, threads)
        return found

    found = load(unseen=False)
    if found is not None:
        return found
    with atomic.alone(path, _WAIT_SECONDS):
        found = load(unseen=True)
        if found is not None:
            return found
        packed, content = _pack(described, choice, origin.files, limit, threads)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            packed_file.save(packed, path, origin, content)
        except OSError:
            # A full or read-only disk: packed weights are a convenience, made anew next time.
            return packed
        # The file's pages are shared and can be given back, those that it was packed in cannot.
        mapped = packed_file.load(path, spec, kinds, choice.library, origin, unseen=False)
        return mapped or packed


def _pack(
    described: Described, choice: KernelChoice, files: Sequence[Path], limit: int, threads: int
) -> tuple[PackedWeights, str]:
    """The weights, packed, and the digest of the files that they were read from."""
    # As torch has a model in bfloat16: all of it is.
    spec, exact = described.spec, choice.name != "bfloat16"
    # Shapes before memory: sizes that only config.json claims are no reason to ask for any.
    parameters = Parameters(described, exact=exact)
    _check_memory(described, choice, choice.bytes(spec), limit, threads)
    before = identity.settled(files)
    if before != described.stored.stamp:
        raise _changed(described)
    packed = pack(spec, choice.kinds, parameters, choice.library, threads=threads)
    content = identity.digest(files)
    if identity.stamp(files) != before:
        raise _changed(described)
    return packed, content


def _check_memory(
    described: Described, choice: KernelChoice, weights: int, limit: int, threads: int
) -> None:
    memory.check(
        str(described.directory),
        described.spec,
        weights,
        scratch=choice.scratch(described.spec, limit, threads),
        dtype=choice.name,
        item=4 if choice.name == "float32" else 2,
        context=limit,
        device="cpu",
    )


def _changed(described: Described) -> ModelError:
    return ModelError(str(described.directory), "was changed while it was being read")


def packed_path(directory: Path, dtype: str) -> Path:
    """Where packed weights of a directory are kept."""
    path = config.packed_weights(directory)
    return path.with_name(f"{path.name}.{dtype}")


def _origin(described: Described) -> Origin:
    """What the weights are packed from; config.json and the rules say which number is which."""
    rules = described.family.rules(described.spec)
    config = json.dumps(described.files.config, sort_keys=True)
    return Origin(described.stored.files, f"{rules} {config}")
