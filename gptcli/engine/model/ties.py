"""Whether head and embedding share their weights: what config.json says, held to what is stored.

As transformers has it: two stored tensors that differ are not tied, whatever config.json says, and
of two that are tied either name may hold the weights.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from gptcli.engine.model.rules import Rules
from gptcli.engine.model.spec import ModelSpec
from gptcli.errors import ModelError
from gptcli.formats.stored import StoredFiles, StoredTensor
from gptcli.plain import dataclass
from gptcli.types.events import Notice

#: Bytes that are compared at a time.
_CHUNK = 1 << 20
#: Models of text and images may put this before the head's name.
_OUTER = "language_model."


@dataclass(frozen=True)
class Ends:
    """The spec, and the tensors under the names that its rules have for them."""

    spec: ModelSpec
    stored: StoredFiles
    notices: tuple[Notice, ...] = ()


def settle(spec: ModelSpec, rules_of: Callable[[ModelSpec], Rules], stored: StoredFiles) -> Ends:
    """`spec` as config.json has it, and `stored` as the files have it, brought together.

    Raises ModelError where two tensors are to be compared and cannot be read.
    """
    rules = rules_of(replace(spec, tied=False))
    by_target = {rule.targets: rule.stored.removesuffix(".weight") for rule in rules.rules}
    first, last = by_target["embedding.weight",], by_target["unembedding.weight",]
    embedding = _parts(stored, rules, first)
    head = _parts(stored, rules, last) | _parts(stored, rules, _OUTER + last)
    if not head:
        return Ends(spec, stored)
    if spec.tied and not embedding:
        return Ends(spec, _renamed(stored, head, rules.prefix + first))
    stored = _renamed(stored, head, last)
    if not spec.tied or _same(embedding, head):
        return Ends(spec, stored)
    text = f"has a head ({last}) that differs from the embedding, to which config.json ties it:"
    notice = Notice(str(stored.place), f"{text} the head is used as it is stored")
    return Ends(replace(spec, tied=False), stored, (notice,))


def _parts(stored: StoredFiles, rules: Rules, module: str) -> dict[str, StoredTensor]:
    """The tensors of a module by their names in it: its weight, or what that is packed in."""
    found = {}
    for name, tensor in stored.tensors.items():
        holder, _, part = rules.bare(name).rpartition(".")
        if holder == module and part != "bias":
            found[part] = tensor
    return found


def _renamed(stored: StoredFiles, parts: Mapping[str, StoredTensor], module: str) -> StoredFiles:
    new = {tensor.name: f"{module}.{part}" for part, tensor in parts.items()}
    tensors = {
        new.get(name, name): replace(tensor, name=new.get(name, name))
        for name, tensor in stored.tensors.items()
    }
    return replace(stored, tensors=tensors)


def _same(one: Mapping[str, StoredTensor], other: Mapping[str, StoredTensor]) -> bool:
    """Whether two modules hold the same bytes."""
    if one.keys() != other.keys():
        return False
    pairs = [(one[part], other[part]) for part in one]
    if any((a.kind, a.shape) != (b.kind, b.shape) for a, b in pairs):
        return False
    return all(_same_bytes(a, b) for a, b in pairs)


def _same_bytes(one: StoredTensor, other: StoredTensor) -> bool:
    """Read, not mapped: pages that are mapped take longer than what is in them, and stay."""
    left, right = bytearray(_CHUNK), bytearray(_CHUNK)
    size = one.end - one.begin
    try:
        with one.file.open("rb", buffering=0) as first, other.file.open("rb", buffering=0) as last:
            for at in range(0, size, _CHUNK):
                first.seek(one.begin + at)
                last.seek(other.begin + at)
                count = min(_CHUNK, size - at)
                read = first.readinto(memoryview(left)[:count])
                if read != count or last.readinto(memoryview(right)[:count]) != count:
                    raise ModelError(str(one.file), "was cut short while it was being read")
                # What a last, shorter part leaves of the one before is the same in both.
                if left != right:
                    return False
    except OSError as error:
        raise ModelError(str(one.file), f"cannot be read: {error.strerror}") from None
    return True
