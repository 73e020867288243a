"""In what the kernels would run a model: which of them, and the kinds of its weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gptcli.engine.cpu import kv_dtypes
from gptcli.engine.cpu.binding.coverage import covers
from gptcli.engine.cpu.binding.library import KernelsUnavailableError, Library, open_library
from gptcli.engine.cpu.packing import packed_file
from gptcli.engine.cpu.packing.chosen import Chosen, Known, chosen_kinds
from gptcli.engine.cpu.packing.memory import places
from gptcli.engine.cpu.packing.origin import origin_of, packed_path
from gptcli.engine.cpu.packing.section import LAYER_TABLE
from gptcli.engine.cpu.run.cache_dtype import cache_dtype
from gptcli.engine.cpu.run.struct_sizes import scratch_bytes
from gptcli.engine.describe import Described
from gptcli.engine.model.spec import ModelSpec
from gptcli.engine.weights.matching import check_counts
from gptcli.errors import UsageError
from gptcli.plain import dataclass
from gptcli.types.compute import QUANTISED

#: Pieces of text as ids, see `calibration.rounding_for`.
Texts = Sequence[Sequence[int]]
#: What packed weights are kept under in place of a dtype, where they are blocks of several kinds.
KEPT = "blocks"


@dataclass(frozen=True, kw_only=True)
class KernelChoice(Chosen):
    """Which kernels, and the kinds of the weights; texts: see `rounding_for`.

    kv_dtype: as --kv-dtype names it.
    """

    library: Library
    texts: Texts = ()
    kv_dtype: str = "auto"

    @property
    def cache(self) -> np.dtype[Any]:
        """Of what keys and values are."""
        return cache_dtype(self.name, self.kv_dtype)

    def bytes(self, spec: ModelSpec) -> int:
        """How long the packed weights are."""
        return places(spec, self.kinds, self.library)[1]

    def held(self, spec: ModelSpec) -> int:
        """How much memory they take in a file: of the layers' table, which is last, rows only."""
        found, size = places(spec, self.kinds, self.library)
        return found[LAYER_TABLE][1] if LAYER_TABLE in found else size

    def scratch(self, spec: ModelSpec, context: int, threads: int) -> int:
        """What so many threads compute with beside weights and cache."""
        return scratch_bytes(spec, self.library, context, threads)


def choose(
    described: Described,
    dtype: str,
    features: str = "auto",
    texts: Texts = (),
    kv_dtype: str = "auto",
) -> KernelChoice | None:
    """In what the kernels would run a model, None where torch has to.

    That is where no kernels were built for this machine, or where they do not cover the spec or the
    dtype, as --dtype names it. `auto` is the dtype of the file, of a GGUF file and of one in codes
    that of each matrix. kv_dtype: as --kv-dtype names it. Raises UsageError for a dtype that torch
    does not have either, for a cache that is not possible, and for features that are not there, and
    ModelError.
    """
    config, spec = described.config, described.spec
    try:
        library = open_library(features)
        reason = covers(spec)
    except KernelsUnavailableError as error:
        reason = str(error)
    if reason is not None:
        if dtype in QUANTISED:
            raise UsageError("--dtype", f"{dtype} needs the CPU kernels: {reason}")
        if kv_dtype != "auto":
            raise UsageError("--kv-dtype", f"{kv_dtype} needs the CPU kernels: {reason}")
        return None
    kv_dtypes.check(spec, kv_dtype)
    check_counts(config.subject, spec, described.stored)
    path = packed_path(described.directory, dtype, texts)
    origin, kept = origin_of(described), packed_path(described.directory, KEPT)
    known = Known(
        packed_file.grids_of(path, origin) if dtype == "int4" else None,
        packed_file.told_of(kept, origin) if dtype in ("auto", *QUANTISED) else None,
    )
    chosen = chosen_kinds(dtype, described, library, known)
    if chosen is None:
        return None
    return KernelChoice(**vars(chosen), library=library, texts=tuple(texts), kv_dtype=kv_dtype)
