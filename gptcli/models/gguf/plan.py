"""Which GGUF tensor becomes which stored tensor, and the arithmetic between them.

Every step works on a chunk of rows, so memory does not grow with the model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gptcli.errors import ModelError
from gptcli.models import weights_file
from gptcli.models.gguf.header import Header, TensorInfo

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Array = npt.NDArray[Any]

#: Elements that are dequantised at a time: 4 MiB of float32.
_CHUNK = 1 << 20
_PLAIN = {"F32", "F16", "BF16"}


@dataclass(frozen=True)
class Take:
    """One stored tensor: its name, its source in the file and its shape there (rows first).

    heads: rows are put back from llama.cpp's interleaved rotary order, per head (0: they are in
    order). transpose: the stored matrix is the source's transpose.
    """

    name: str
    source: str
    shape: tuple[int, ...]
    heads: int = 0
    transpose: bool = False


@dataclass(frozen=True)
class Plan:
    """A model as the converter will write it; `unused` are tensors read but not stored."""

    config: dict[str, Any]
    takes: tuple[Take, ...]
    unused: frozenset[str] = frozenset()


def check(header: Header, plan: Plan) -> None:
    """Raises ModelError for a missing, unknown or misshapen tensor."""
    wanted = {take.source for take in plan.takes}
    unknown = sorted(header.tensors.keys() - wanted - plan.unused)
    if unknown:
        raise ModelError(str(header.path), f"has a tensor that is not understood: {unknown[0]}")
    for take in plan.takes:
        info = header.tensors.get(take.source)
        if info is None:
            raise ModelError(str(header.path), f"lacks the tensor {take.source}")
        if info.shape != take.shape:
            raise ModelError(
                str(header.path),
                f"tensor {take.source} is {list(info.shape)}, but its settings ask for "
                f"{list(take.shape)}",
            )


def stored_dtype(header: Header, plan: Plan) -> str:
    """The one dtype the whole model is stored in, decided by its matrices.

    Anything quantised becomes BF16, whose rounding is far below the quantiser's own. Plain types
    keep theirs, a mixture of them becomes F32.
    """
    infos = [header.tensors[take.source] for take in plan.takes]
    kinds = {info.type for info in infos if len(info.shape) > 1}
    if not kinds <= _PLAIN:
        return "BF16"
    return kinds.pop() if len(kinds) == 1 else "F32"


def planned(header: Header, plan: Plan) -> list[weights_file.Planned]:
    """The tensors for `weights_file.write`."""
    import numpy as np

    data = np.memmap(header.path, dtype=np.uint8, mode="r")
    dtype = stored_dtype(header, plan)
    tensors = []
    for take in plan.takes:
        info = header.tensors[take.source]
        shape = info.shape[::-1] if take.transpose else info.shape
        rows = _Rows(header, info, take, data, dtype)
        tensors.append(weights_file.Planned(take.name, dtype, shape, rows))
    return tensors


@dataclass(frozen=True)
class _Rows:
    """The chunks of one tensor in its stored dtype (BF16 as uint16)."""

    header: Header
    info: TensorInfo
    take: Take
    data: Array
    dtype: str

    def __call__(self) -> Iterator[Array]:
        chunks = self._chunks()
        if self.take.transpose:
            import numpy as np

            # One matrix in its stored dtype is all that is ever held.
            yield np.ascontiguousarray(np.concatenate(list(chunks)).T)
        else:
            yield from chunks

    def _chunks(self) -> Iterator[Array]:
        info, take = self.info, self.take
        raw = self.data[info.offset : info.offset + info.size]
        # A vector without heads is one row; with heads it is permuted by element.
        count = 1 if len(info.shape) == 1 and not take.heads else info.shape[0]
        rows = raw.reshape(count, -1)
        order = head_order(count, take.heads) if take.heads else None
        step = max(1, _CHUNK // max(1, _elements(info.shape) // count))
        encode = _encoder(self.dtype)
        for start in range(0, count, step):
            stop = start + step
            chunk = rows[start:stop] if order is None else rows[order[start:stop]]
            try:
                yield encode(_floats(chunk, info.type))
            except FloatingPointError:
                reason = f"tensor {info.name} does not fit {self.dtype}"
                raise ModelError(str(self.header.path), reason) from None
            except NotImplementedError:
                reason = f"tensor {info.name} is of type {info.type}, which is not supported"
                raise ModelError(str(self.header.path), reason) from None


def head_order(rows: int, heads: int) -> Array:
    """For each row of the original matrix, where llama.cpp put it.

    Its converter splits each head's rows into two halves and interleaves them (`permute` in
    convert_hf_to_gguf.py), since its rotary embedding turns neighbours, not halves.
    """
    import numpy as np

    order = np.arange(rows).reshape(heads, rows // heads // 2, 2)
    return order.swapaxes(1, 2).reshape(-1)


def to_bf16(values: Array) -> npt.NDArray[np.uint16]:
    """The upper halves of float32 values, rounded to nearest even; NaN stays NaN."""
    import numpy as np

    bits = np.ascontiguousarray(values, dtype=np.float32).view(np.uint32)
    rounded = ((bits + (np.uint32(0x7FFF) + ((bits >> 16) & 1))) >> 16).astype(np.uint16)
    broken = (bits & 0x7FFFFFFF) > 0x7F800000
    rounded[broken] = 0x7FC0
    return rounded


def _floats(rows: Array, kind: str) -> Array:
    import numpy as np
    from gguf.constants import GGMLQuantizationType
    from gguf.quants import dequantize

    if kind == "F64":
        return rows.view(np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        found: Array = dequantize(np.ascontiguousarray(rows), GGMLQuantizationType[kind])
    return found


def _encoder(dtype: str) -> Callable[[Array], Array]:
    import numpy as np

    def plain(values: Array) -> Array:
        with np.errstate(over="raise"):
            return values.astype(np.float16 if dtype == "F16" else np.float32)

    return to_bf16 if dtype == "BF16" else plain


def _elements(shape: tuple[int, ...]) -> int:
    count = 1
    for length in shape:
        count *= length
    return count
