"""What a method of quantisation must say of a weight that is stored as several tensors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from gptcli.engine.weights.matching import FLOATS
from gptcli.engine.weights.quantised.coded import E4M3_NONE, Coded, Codes, Floats
from gptcli.errors import ModelError
from gptcli.formats.bfloat16 import from_bfloat16
from gptcli.formats.stored import StoredTensor
from gptcli.plain import dataclass


@dataclass(frozen=True)
class QuantisedWeight:
    """One weight, as the tensors that make it, by their names in the module; none is read yet.

    transpose: the family expects columns as rows.
    """

    module: str
    parts: Mapping[str, StoredTensor]
    transpose: bool

    def part(self, name: str, shape: tuple[int, ...], *kinds: str) -> StoredTensor:
        """A part that must be there, of this shape and one of these kinds (none: any float)."""
        found = self.parts.get(name)
        if found is None:
            some = next(iter(self.parts.values()))
            raise ModelError(str(some.file), f"tensor {self.module}.{name} is missing")
        if found.shape != shape:
            reason = f"tensor {found.name} has shape {list(found.shape)}, not {list(shape)}"
            raise ModelError(str(found.file), f"{reason} as its weight and config.json say")
        self.check_kind(found, *kinds)
        return found

    def core(self, name: str, *kinds: str) -> StoredTensor:
        """The part that holds the packed numbers: a matrix."""
        if name not in self.parts:
            some = next(iter(self.parts.values()))
            raise ModelError(str(some.file), f"tensor {self.module}.{name} is missing")
        found = self.parts[name]
        if len(found.shape) != 2 or 0 in found.shape:
            reason = f"tensor {found.name} has shape {list(found.shape)}, which is no matrix"
            raise ModelError(str(found.file), reason)
        self.check_kind(found, *kinds)
        return found

    def check_kind(self, stored: StoredTensor, *kinds: str) -> None:
        """Raise ModelError for another kind than these (none: any float)."""
        if stored.kind not in (kinds or FLOATS):
            known = ", ".join(_WORDS[kind] for kind in kinds or FLOATS)
            raise ModelError(str(stored.file), f"tensor {stored.name} is not of dtype {known}")

    def weight(self, core: StoredTensor, shape: tuple[int, int], kind: str) -> StoredTensor:
        """The weight that the parts stand for, of so many rows and columns, once dequantised."""
        shape = shape[::-1] if self.transpose else shape
        return replace(core, name=f"{self.module}.weight", kind=kind, shape=shape)

    def floats(self, name: str, read: NDArray[Any]) -> Floats:
        """Numbers of a part in float32. Raises ModelError for those that are infinite or none."""
        found = from_bfloat16(read) if read.dtype == np.uint16 else read.astype(np.float32)
        if not np.isfinite(found).all():
            raise self.not_finite(name)
        return found

    def float8(self, name: str, codes: Codes) -> Codes:
        """Codes of e4m3 from a part. Raises ModelError for those that stand for no number."""
        if ((codes & E4M3_NONE) == E4M3_NONE).any():
            raise self.not_finite(name)
        return codes

    def not_finite(self, name: str) -> ModelError:
        """The error that says so of a part."""
        found = self.parts[name]
        return ModelError(str(found.file), f"tensor {found.name} holds what is no finite number")


_WORDS = {"F32": "float32", "F16": "float16", "BF16": "bfloat16", "F8_E4M3": "float8_e4m3fn"}
_WORDS |= {"I8": "int8", "I32": "int32", "I64": "int64", "U8": "uint8", "U32": "uint32"}


class Method(Protocol):
    """One published way to pack weights, as config.json describes it."""

    @property
    def parts(self) -> frozenset[str]:
        """The names in a module of the tensors that may make a weight."""
        ...

    @property
    def unread(self) -> frozenset[str]:
        """Those among them that have no use here, such as the scales of quantised activations."""
        ...

    @property
    def outputs_first(self) -> bool:
        """Whether rows are outputs also in families whose plain weights are stored as (in, out)."""
        ...

    def left_out(self, module: str) -> bool:
        """Whether config.json says that this module is not quantised."""
        ...

    def is_packed(self, parts: Mapping[str, StoredTensor]) -> bool:
        """Whether these tensors of a module make a packed weight; a plain weight does not."""
        ...

    def weight(self, packed: QuantisedWeight) -> StoredTensor:
        """The weight, as `QuantisedWeight.weight` has it; its kind is that of its numbers.

        Raises ModelError for parts that are missing or do not fit each other.
        """
        ...

    def coded(self, packed: QuantisedWeight, parts: Mapping[str, NDArray[Any]]) -> Coded:
        """The same as data; `parts` are the tensors by name, in which pages are read when used.

        Raises ModelError for what only the numbers of small parts can show to be wrong.
        """
        ...
