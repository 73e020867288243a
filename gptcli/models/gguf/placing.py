"""Where in its file each tensor of a plan stands: what the engine reads in place."""

from __future__ import annotations

import math

from gptcli.formats.gguf.header import Header, TensorInfo
from gptcli.formats.gguf.taken import GgufRows, Taken
from gptcli.formats.stored import StoredTensor
from gptcli.models.gguf.takes import Take, Woven


def placed(header: Header, take: Take | Woven) -> StoredTensor:
    """The tensor that a take of a file stands for; the two fit each other, see `plan.check`."""
    sources = tuple(_rows(header.tensors[source], len(take.shape)) for source in take.sources)
    match take:
        case Take():
            taken = Taken(sources, take.order, take.part, take.transpose, take.shift, take.log)
        case Woven():
            # Vectors are woven number by number.
            if len(take.shape) == 2:
                sources = tuple(_rows(header.tensors[source], 1) for source in take.sources)
            taken = Taken(sources, take.order, turned=take.transpose)
    first = sources[0]
    return StoredTensor(
        take.name, first.file, taken.kind, take.stored_shape, first.begin, first.end, taken
    )


def _rows(info: TensorInfo, axes: int) -> GgufRows:
    """axes: 1 where each number is a row."""
    columns = 1 if axes == 1 else info.shape[-1]
    count = math.prod(info.shape) // columns
    end = info.offset + info.size
    return GgufRows(info.file, info.type, count, columns, info.offset, end)
