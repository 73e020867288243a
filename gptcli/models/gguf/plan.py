"""Which GGUF tensor becomes which stored tensor, and the arithmetic between them.

Every step works on a chunk of rows, so memory does not grow with the model. Matrices in blocks
that gptcli can run from (see formats.ggml_blocks) stay in them: only whole rows change places.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gptcli.errors import ModelError
from gptcli.formats import ggml_blocks
from gptcli.formats.gguf.header import Header, TensorInfo
from gptcli.formats.safetensors import writing as weights_file
from gptcli.models.gguf import rope
from gptcli.models.gguf.numbers import encoder, floats, readable
from gptcli.models.gguf.takes import RepackedTake, Take, Woven, repack_mxfp4

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]

#: Elements that are dequantised at a time: 4 MiB of float32.
_CHUNK = 1 << 20
_PLAIN = {"F32", "F16", "BF16"}
_ELEMENTS = {*_PLAIN, "F64"}


@dataclass(frozen=True)
class ConversionPlan:
    """A model as the converter will write it; `unused` are tensors read but not stored."""

    config: dict[str, Any]
    takes: tuple[Take | Woven | RepackedTake, ...]
    unused: frozenset[str] = frozenset()


def check(header: Header, plan: ConversionPlan) -> None:
    """Raises ModelError for a missing, unknown or misshapen tensor, or one of an unknown type."""
    wanted = {source for take in plan.takes for source in take.sources}
    for name in sorted(header.tensors.keys() - wanted - plan.unused):
        if not _changes_nothing(header.tensors[name]):
            raise ModelError(str(header.path), f"has a tensor that is not understood: {name}")
    for take in plan.takes:
        for source in take.sources:
            info = header.tensors.get(source)
            if info is None:
                raise ModelError(str(header.path), f"lacks the tensor {source}")
            if info.shape != take.shape:
                found, asked = list(info.shape), list(take.shape)
                reason = f"tensor {source} is {found}, but its settings ask for {asked}"
                raise ModelError(str(info.file), reason)
            # Elements of a vector may have to change places, which those of a block cannot.
            if not readable(info.type) or (len(info.shape) == 1 and info.type not in _ELEMENTS):
                reason = f"tensor {source} is of type {info.type}, which is not supported"
                raise ModelError(str(info.file), reason)


def _changes_nothing(info: TensorInfo) -> bool:
    """Whether it is a bias of zeros, or something that multiplies or divides by ones."""
    if info.type not in _PLAIN or len(info.shape) > 1 or info.shape[0] > _CHUNK:
        return False
    if info.name.endswith(".bias"):
        neutral = 0
    elif info.name == rope.FREQUENCIES or info.name.endswith(".scale"):
        neutral = 1
    else:
        return False
    return bool((floats(_rows(info), info.type) == neutral).all())


def stored_dtype(header: Header, plan: ConversionPlan) -> str:
    """The one dtype that all are stored in but matrices that stay packed or in blocks.

    The matrices decide: anything quantised becomes BF16, whose rounding is far below the
    quantiser's own. Plain types keep theirs, a mixture of them becomes F32.
    """
    takes = [take for take in plan.takes if not isinstance(take, RepackedTake)]
    infos = [header.tensors[source] for take in takes for source in take.sources]
    # The scales of norms, whatever their shape, are plain in quantised files as well.
    kinds = {info.type for info in infos if len(info.shape) > 1 and "norm" not in info.name}
    if not kinds <= _PLAIN:
        return "BF16"
    return kinds.pop() if len(kinds) == 1 else "F32"


def planned(header: Header, plan: ConversionPlan) -> list[weights_file.Planned]:
    """The tensors for `weights_file.write`."""
    whole = stored_dtype(header, plan)
    found = []
    for take in plan.takes:
        kept = kept_blocks(header, plan, take)
        if kept is not None:
            found.append(_blocks(header, kept))
            continue
        dtype = "U8" if isinstance(take, RepackedTake) else whole
        chunks = _Chunks(header, take, encoder(dtype), dtype)
        found.append(weights_file.Planned(take.name, dtype, take.stored_shape, chunks))
    return found


def kept_blocks(
    header: Header, plan: ConversionPlan, take: Take | Woven | RepackedTake
) -> Take | None:
    """The take itself where its blocks are kept, None where it is stored as numbers.

    config.json can name one way of quantising alone, which is MXFP4 where that is.
    """
    if not isinstance(take, Take) or "quantization_config" in plan.config or take.shift:
        return None
    matrix = len(take.stored_shape) == 2 and take.name.endswith(".weight")
    return take if matrix and header.tensors[take.source].type in ggml_blocks.SIZES else None


def _blocks(header: Header, take: Take) -> weights_file.Planned:
    """Rows of blocks, as they are in the file, also of what is stored transposed as numbers."""
    info = header.tensors[take.source]
    rows = _rows(info)
    first, last = take.part or (0, len(rows))

    def chunks() -> Iterator[Array]:
        import numpy as np

        order = np.arange(len(rows)) if take.order is None else take.order(len(rows))
        step = max(1, _CHUNK // rows.shape[1])
        for start in range(first, last, step):
            yield np.ascontiguousarray(rows[order[start : min(start + step, last)]])

    shape = last - first, rows.shape[1]
    return weights_file.Planned(ggml_blocks.stored_name(take.name, info.type), "U8", shape, chunks)


@dataclass(frozen=True)
class _Chunks:
    """The chunks of one tensor in its stored dtype (BF16 as uint16)."""

    header: Header
    take: Take | Woven | RepackedTake
    encode: Callable[[Array], Array]
    dtype: str

    def __call__(self) -> Iterator[Array]:
        try:
            match self.take:
                case Take() as take:
                    yield from self._plain(take)
                case Woven() as woven:
                    yield from self._woven(woven)
                case RepackedTake() as packed:
                    yield from self._packed(packed)
        except FloatingPointError:
            names = " and ".join(self.take.sources)
            reason = f"tensor {names} does not fit {self.dtype}"
            raise ModelError(str(self.header.path), reason) from None

    def _plain(self, take: Take) -> Iterator[Array]:
        import numpy as np

        info = self.header.tensors[take.source]
        rows = _rows(info)
        first, last = take.part or (0, len(rows))
        order = np.arange(len(rows)) if take.order is None else take.order(len(rows))
        chunks = (
            # A run of rows is a view of the file, any other choice of them a copy.
            self.encode(_shifted(numbers, take.shift))
            for numbers in _numbers(rows, order[first:last], take.order is None, info)
        )
        if take.transpose:
            # One matrix in its stored dtype is all that is ever held.
            yield np.ascontiguousarray(np.concatenate(list(chunks)).T)
        else:
            yield from chunks

    def _woven(self, take: Woven) -> Iterator[Array]:
        import numpy as np

        infos = [self.header.tensors[source] for source in take.sources]
        rows = [_rows(info) for info in infos]
        count, inner = take.shape[0], take.shape[1:]
        size = len(rows[0]) // count
        for member in range(count):
            choice = np.arange(member * size, (member + 1) * size)
            parts = [
                np.concatenate([self.encode(part) for part in _numbers(each, choice, True, info)])
                for each, info in zip(rows, infos, strict=True)
            ]
            woven = np.stack([part.reshape(inner) for part in parts], axis=1)
            matrix = woven.reshape(-1, *inner[1:])
            yield np.ascontiguousarray(matrix.T if take.transpose else matrix)

    def _packed(self, take: RepackedTake) -> Iterator[Array]:
        import numpy as np

        count, rows = take.shape[:2]
        parts = [
            _rows(self.header.tensors[source]).reshape(count, rows, -1, 17)
            for source in take.sources
        ]
        for member in range(count):
            found = [repack_mxfp4(part[member], scales=take.scales) for part in parts]
            yield np.ascontiguousarray(np.stack(found, axis=1))


def _shifted(numbers: Array, shift: float) -> Array:
    """What is no number stays none, without a word of numpy's."""
    import numpy as np

    if not shift:
        return numbers
    with np.errstate(invalid="ignore"):
        found: Array = numbers + np.float32(shift)
    return found


def _rows(info: TensorInfo) -> Array:
    """The bytes of a tensor, a row each; an element of a vector is a row."""
    import numpy as np

    data = np.memmap(info.file, dtype=np.uint8, mode="r", offset=info.offset, shape=(info.size,))
    count = math.prod(info.shape[:-1]) if len(info.shape) > 1 else info.shape[0]
    return data.reshape(count, -1)


def _numbers(rows: Array, choice: Array, run: bool, info: TensorInfo) -> Iterator[Array]:
    """Those rows as floats, a chunk at a time; run: they follow each other."""
    width = math.prod(info.shape) // len(rows)
    step = max(1, _CHUNK // max(1, width))
    for start in range(0, len(choice), step):
        here = choice[start : start + step]
        yield floats(rows[here[0] : here[-1] + 1] if run else rows[here], info.type)
