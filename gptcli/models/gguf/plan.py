"""Which GGUF tensor becomes which stored tensor, held to what the file has."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from gptcli.errors import ModelError
from gptcli.formats.gguf.header import Header, TensorInfo
from gptcli.formats.gguf.taken import PLAIN
from gptcli.formats.mapping import MappedFiles
from gptcli.models.gguf import rope
from gptcli.models.gguf.placing import placed
from gptcli.models.gguf.takes import Take, Woven

#: More numbers than any bias or scale has.
_VECTOR = 1 << 20


@dataclass(frozen=True)
class ConversionPlan:
    """A model as its published form has it; `unused` are tensors read but not stored."""

    config: dict[str, Any]
    takes: tuple[Take | Woven, ...]
    unused: frozenset[str] = frozenset()


#: Words in a config that are gptcli's own, for what only a GGUF file has.
OWN = frozenset({"linear_value_heads"})


def published(plan: ConversionPlan) -> ConversionPlan:
    """The plan of a model that others read too: as it is published, without words of our own."""
    config = {name: value for name, value in plan.config.items() if name not in OWN}
    takes = tuple(
        replace(take, order=take.heads)
        if isinstance(take, Take) and take.heads is not None and not take.across
        else take
        for take in plan.takes
    )
    return replace(plan, config=config, takes=takes)


def check(header: Header, plan: ConversionPlan) -> None:
    """Raises ModelError for a missing, unknown or misshapen tensor, or one of an unknown type."""
    from gptcli.formats.gguf.numbers import readable

    wanted = {source for take in plan.takes for source in take.sources}
    for name in sorted(header.tensors.keys() - wanted - plan.unused):
        if not _changes_nothing(header.tensors[name]):
            raise ModelError(str(header.path), f"has a tensor that is not understood: {name}")
    for take in plan.takes:
        for source in take.sources:
            info = header.tensors.get(source)
            if info is None:
                raise ModelError(str(header.path), f"lacks the tensor {source}")
            if info.shape != take.source_shape:
                found, asked = list(info.shape), list(take.source_shape)
                reason = f"tensor {source} is {found}, but its settings ask for {asked}"
                raise ModelError(str(info.file), reason)
            # Elements of a vector may have to change places, which those of a block cannot.
            vector = len(info.shape) == 1 or (isinstance(take, Woven) and len(take.shape) == 2)
            if not readable(info.type) or (vector and info.type not in PLAIN):
                reason = f"tensor {source} is of type {info.type}, which is not supported"
                raise ModelError(str(info.file), reason)


def _changes_nothing(info: TensorInfo) -> bool:
    """Whether it is a bias of zeros, or something that multiplies or divides by ones."""
    if info.type not in PLAIN or len(info.shape) > 1 or info.shape[0] > _VECTOR:
        return False
    if info.name.endswith(".bias"):
        neutral = 0
    elif info.name == rope.FREQUENCIES or info.name.endswith(".scale"):
        neutral = 1
    else:
        return False
    tensor = placed(Header(info.file, {}, {info.name: info}), Take("", info.name, info.shape))
    return bool((MappedFiles().array(tensor) == neutral).all())


def stored_dtype(header: Header, takes: tuple[Take | Woven, ...]) -> str:
    """The dtype of a model, in which all of it is stored that is not quantised in another way.

    The matrices decide: anything quantised becomes BF16, whose rounding is far below the
    quantiser's own. Plain types keep theirs, a mixture of them becomes F32.
    """
    infos = [header.tensors[source] for take in takes for source in take.sources]
    # The scales of norms, whatever their shape, are plain in quantised files as well.
    kinds = {info.type for info in infos if len(info.shape) > 1 and "norm" not in info.name}
    if not kinds <= {"F32", "F16", "BF16"}:
        return "BF16"
    return kinds.pop() if len(kinds) == 1 else "F32"
