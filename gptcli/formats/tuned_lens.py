"""Tuned lenses (arXiv:2303.08112): for each layer what its stream becomes before it is read out.

The state of `tuned_lens.TunedLens` in safetensors: of translator n, which reads what layer n reads,
`n.weight` (width, width) and `n.bias` (width), perhaps behind `layer_translators.`. Its own files
are pickles.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from gptcli.errors import ModelError
from gptcli.formats.bfloat16 import as_float32
from gptcli.formats.files import refuse_special
from gptcli.formats.safetensors import header
from gptcli.formats.safetensors.shards import PICKLES
from gptcli.formats.stored import StoredTensor

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_NAME = re.compile(r"(?:layer_translators\.)?(0|[1-9][0-9]{0,5})\.(weight|bias)")
_FLOATS = ("F32", "F16", "BF16")
#: Makes a file that is read here of one that is not.
CONVERT = (
    'python -c "import torch, safetensors.torch as s;'
    " s.save_file(torch.load('params.pt', 'cpu', weights_only=True), 'lens.safetensors')\""
)


class TunedLens:
    """The translators of a file, none of which is read before it is used."""

    def __init__(self, path: Path, *, layers: int, width: int) -> None:
        """Raises ModelError for a file that is not one of a model of such sizes."""
        from gptcli.formats.mapping import MappedFiles

        self._path, self._files = path, MappedFiles()
        if path.suffix in PICKLES:
            reason = "is pickled, and pickles are not loaded since they can run code"
            raise ModelError(str(path), reason, f"convert it: {CONVERT}")
        refuse_special(path)
        self._parts: dict[tuple[int, str], StoredTensor] = {}
        for name, tensor in header.read(path).items():
            self._add(name, tensor, layers, width)
        missing = [at for at in range(layers) if (at, "weight") not in self._parts]
        if missing:
            raise self._error(f"lacks {missing[0]}.weight, of {layers} layers")
        biases = sum(part == "bias" for _, part in self._parts)
        if biases not in (0, layers):
            raise self._error(f"has {biases} biases for {layers} layers")

    def of(self, layer: int) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        """W and b: the stream x that a layer reads becomes x + W x + b. Raises as MappedFiles."""
        weight, bias = (self._parts.get((layer, part)) for part in ("weight", "bias"))
        assert weight is not None
        return self._numbers(weight), None if bias is None else self._numbers(bias)

    def _numbers(self, tensor: StoredTensor) -> NDArray[np.float32]:
        return as_float32(self._files.array(tensor))

    def _add(self, name: str, tensor: StoredTensor, layers: int, width: int) -> None:
        match = _NAME.fullmatch(name)
        if match is None:
            raise self._error(f"tensor {name} is none of a tuned lens, such as 0.weight")
        layer, part = int(match[1]), match[2]
        if layer >= layers:
            raise self._error(f"has a translator {layer}, and the model has {layers} layers")
        if (layer, part) in self._parts:
            raise self._error(f"has {layer}.{part} twice")
        wanted = (width, width) if part == "weight" else (width,)
        if tensor.shape != wanted:
            shapes = f"{list(tensor.shape)}, and for this model it is {list(wanted)}"
            raise self._error(f"tensor {name} has the shape {shapes}")
        if tensor.kind not in _FLOATS:
            raise self._error(f"tensor {name} is {tensor.kind}, not one of {', '.join(_FLOATS)}")
        self._parts[layer, part] = tensor

    def _error(self, reason: str) -> ModelError:
        return ModelError(str(self._path), reason)
