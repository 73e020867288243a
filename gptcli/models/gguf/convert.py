"""A GGUF file → config.json, model.safetensors, tokenizer.json and their companions.

For those who ask for it: what gptcli runs it reads where it is, see `in_place`. Every step works on
some rows, so that memory does not grow with the model.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gptcli.errors import ModelError
from gptcli.formats.mapping import MappedFiles
from gptcli.formats.safetensors import writing as weights_file
from gptcli.formats.stored import StoredTensor
from gptcli.models import disk, manifest
from gptcli.models.gguf import model as gguf_model
from gptcli.models.gguf.model import GgufModel
from gptcli.models.gguf.placing import placed
from gptcli.models.gguf.plan import published, stored_dtype
from gptcli.models.gguf.takes import Take, Woven
from gptcli.types.events import Progress

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]

_WEIGHTS = "model.safetensors"
#: Numbers that share a scale in MXFP4, and the bytes of both.
_MXFP4, _MXFP4_BYTES = 32, 17


def convert(
    path: Path, target: Path, name: str, source: str, licence: str | None = None
) -> Generator[Progress, None, manifest.Manifest]:
    """Writes the model in the GGUF file `path` into the directory `target`, manifest last, which it
    returns.

    Where the file is one part of several, the others are found beside it. licence: used where the
    file itself names none. Raises ModelError for a file that is broken or not supported, OSError
    where `target` cannot be written.
    """
    found = gguf_model.read(path)
    found = replace(found, plan=published(found.plan))
    packed = _packed(found)
    dtype = stored_dtype(found.header, tuple(t for t in found.plan.takes if t not in packed))
    tensors = list(_planned(found, packed, dtype))
    disk.need_space(target, sum(tensor.size for tensor in tensors))
    more = {"quantization_config": {"quant_method": "mxfp4"}} if packed else {}
    files = gguf_model.write(found, target, dtype, more)
    digest = yield from weights_file.write(target / _WEIGHTS, tensors, f"converting {name}")
    files[_WEIGHTS] = manifest.StoredFile(*digest)
    made = manifest.Manifest(name, source, found.licence or licence, files)
    manifest.write(target, made)
    return made


def _packed(model: GgufModel) -> list[Woven]:
    """The stacks that stay in MXFP4: all there are, or none, as config.json can say it."""
    stacks = [take for take in model.plan.takes if isinstance(take, Woven) and take.packs]
    infos = [model.header.tensors[source] for take in stacks for source in take.sources]
    return stacks if all(info.type == "MXFP4" for info in infos) else []


def _planned(model: GgufModel, packed: list[Woven], dtype: str) -> Iterator[weights_file.Planned]:
    for take in model.plan.takes:
        tensor = placed(model.header, take)
        if isinstance(take, Take) or take not in packed:
            kind = "F32" if isinstance(take, Take) and take.exact else dtype
            chunks = _Chunks(tensor, take, kind)
            yield weights_file.Planned(take.name, kind, tensor.shape, chunks)
            continue
        count, width, rows = tensor.shape
        for part, more in (("blocks", (_MXFP4 // 2,)), ("scales", ())):
            blocks = (count, rows, width // _MXFP4, *more)
            repacked = _Repacked(tensor, scales=part == "scales")
            yield weights_file.Planned(f"{take.name}_{part}", "U8", blocks, repacked)


@dataclass(frozen=True)
class _Chunks:
    """The chunks of one tensor in the dtype that it is stored in (BF16 as uint16)."""

    tensor: StoredTensor
    take: Take | Woven
    dtype: str

    def __call__(self) -> Iterator[Array]:
        import numpy as np

        try:
            with np.errstate(over="raise"):
                yield from self._chunks()
        except FloatingPointError:
            names = " and ".join(self.take.sources)
            reason = f"tensor {names} does not fit {self.dtype}"
            raise ModelError(str(self.tensor.file), reason) from None

    def _chunks(self) -> Iterator[Array]:
        import numpy as np

        mapped = MappedFiles()
        rows = mapped.rows(self.tensor)
        if rows.taken.turned:
            # One matrix in its stored dtype is all that is ever held.
            height = rows.taken.physical(self.tensor.shape)[-2]
            for start in range(0, rows.shape[0], height):
                matrix = [self._stored(part) for part in rows[start : start + height].chunks()]
                yield np.ascontiguousarray(np.concatenate(matrix).T)
                mapped.release(self.tensor.file)
            return
        for part in rows.chunks():
            yield self._stored(part)
            mapped.release(self.tensor.file)

    def _stored(self, part: Any) -> Array:
        from gptcli.formats.bfloat16 import as_bfloat16

        numbers = part.numbers()
        if isinstance(self.take, Take) and self.take.across and self.take.heads is not None:
            numbers = numbers[:, self.take.heads(numbers.shape[1])]
        if self.dtype == "BF16":
            return as_bfloat16(numbers)
        found: Array = numbers.astype({"F16": "float16", "F32": "float32"}[self.dtype])
        return found


@dataclass(frozen=True)
class _Repacked:
    """A stack of matrices in MXFP4: their scales, or what they scale.

    In the file a block of 32 numbers is a scale and 16 bytes, of which byte i holds number i and,
    in its upper half, number i + 16. Stored are scales (stack, rows, blocks) and, by themselves,
    blocks (stack, rows, blocks, 16), whose byte i holds numbers 2 i and 2 i + 1, as OpenAI has it.
    """

    tensor: StoredTensor
    scales: bool

    def __call__(self) -> Iterator[Array]:
        import numpy as np

        mapped = MappedFiles()
        for part in mapped.rows(self.tensor).chunks():
            blocks = part.bytes().reshape(part.shape[0], -1, _MXFP4_BYTES)
            yield np.ascontiguousarray(repack_mxfp4(blocks, scales=self.scales))
            mapped.release(self.tensor.file)


def repack_mxfp4(blocks: Array, *, scales: bool) -> Array:
    """Blocks of MXFP4 (…, 17 bytes) as _Repacked stores them."""
    import numpy as np

    if scales:
        return blocks[..., 0]
    low, high = blocks[..., 1:] & 15, blocks[..., 1:] >> 4
    numbers = np.concatenate([low, high], axis=-1)
    found: Array = numbers[..., ::2] | numbers[..., 1::2] << 4
    return found
