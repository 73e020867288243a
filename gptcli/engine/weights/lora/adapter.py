"""An adapter's directory: its config, and the tensors of adapter_model.safetensors."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from torch import Tensor

from gptcli.engine.model.rules import Rules
from gptcli.engine.weights.checkpoint import FLOATS, Checkpoint, SourceTensor
from gptcli.engine.weights.lora import config
from gptcli.errors import ModelError
from gptcli.formats.files import refuse_special
from gptcli.formats.safetensors import shards
from gptcli.formats.safetensors.stored import read_one
from gptcli.types.models import AdapterRef

_WEIGHTS = "adapter_model.safetensors"
_PICKLES = tuple(f"adapter_model{suffix}" for suffix in shards.PICKLES)
_PREFIX = "base_model.model."
_UPDATE = re.compile(
    r"(?P<module>.+)\.lora_(?P<embedding>embedding_)?(?P<side>[AB])(?P<weight>\.weight)?"
)


@dataclass(frozen=True)
class Update:
    """A low-rank update of one module before it is read: weight += scale · (B A).

    A is (rank, in) and B (out, rank); of an embedding, in is the vocabulary.
    """

    adapter: Adapter
    module: str
    a: SourceTensor
    b: SourceTensor
    scale: float
    embedding: bool

    def read(self) -> tuple[Tensor, Tensor]:
        """A and B in float32, B multiplied by the scale."""
        read = self.adapter.read
        return read(self.a).float(), read(self.b).float() * self.scale


class Adapter:
    """An adapter before its numbers are read.

    updates: by module; whole: tensors that take the place of the model's own, by their names. All
    names are those of transformers' modules.
    """

    def __init__(self, ref: AdapterRef) -> None:
        """Raises ModelError for a directory that is no adapter, or one that is not supported."""
        self.ref = ref
        self.config = config.read(ref.path)
        self.subject = str(ref.path)
        file = ref.path / _WEIGHTS
        refuse_special(file)
        if not file.exists():
            pickles = [name for name in _PICKLES if (ref.path / name).exists()]
            reason = f"{shards.NO_PICKLES} ({pickles[0]})" if pickles else f"has no {_WEIGHTS}"
            raise ModelError(self.subject, reason)
        self._file = Checkpoint(read_one(file))
        self.updates: dict[str, Update] = {}
        self.whole: dict[str, SourceTensor] = {}
        self._sort()

    def touches(self, names: Iterable[str], rules: Rules) -> bool:
        """Whether it changes one of these stored weights, named without the prefix."""
        ours = {f"{module}.weight" for module in self.updates} | self.whole.keys()
        return not {rules.bare(name) for name in ours}.isdisjoint(names)

    def read(self, stored: SourceTensor) -> Tensor:
        """A tensor of the file."""
        return self._file.read(stored.name)

    def error(self, reason: str) -> ModelError:
        """The error that says what is wrong with the adapter."""
        return ModelError(self.subject, reason)

    def _sort(self) -> None:
        sides: dict[str, dict[str, SourceTensor]] = {}
        embeddings = set()
        for key, stored in self._file.tensors.items():
            if not key.startswith(_PREFIX):
                raise self.error(f"tensor {key} is not one that PEFT writes")
            if stored.dtype not in FLOATS.values():
                raise self.error(f"tensor {key} is not one of {', '.join(FLOATS)}")
            name = key.removeprefix(_PREFIX)
            found = _UPDATE.fullmatch(name)
            if found and bool(found["embedding"]) != bool(found["weight"]):
                sides.setdefault(found["module"], {})[found["side"]] = stored
                if found["embedding"]:
                    embeddings.add(found["module"])
            elif ".lora_" in name:
                raise self.error(f"tensor {key} is of a kind that gptcli does not know")
            else:
                self.whole[name.replace(".base_layer.", ".")] = stored
        for module, found_sides in sides.items():
            self.updates[module] = self._update(module, found_sides, module in embeddings)

    def _update(self, module: str, sides: dict[str, SourceTensor], embedding: bool) -> Update:
        missing = {"A", "B"} - sides.keys()
        if missing:
            raise self.error(f"{module} has no lora_{min(missing)}")
        a, b, rank = sides["A"], sides["B"], self.config.rank_of(module)
        if len(a.shape) != 2 or len(b.shape) != 2 or not a.shape[0] == b.shape[1] == rank:
            shapes = f"{list(a.shape)} and {list(b.shape)}"
            raise self.error(f"{module} has updates of shapes {shapes}, not of rank {rank}")
        scale = self.config.scale_of(module) * self.ref.scale
        return Update(self, module, a, b, scale, embedding)
