"""Typed look-ups in GGUF metadata, and the refusal of what we do not know.

A key under the architecture's own prefix that is not on its list could change the maths, so it is
refused by name instead of being ignored: unless its value is one that changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gptcli.errors import ModelError
from gptcli.formats.gguf.header import Header

#: A count in a header is a size of the model; none of them comes near this.
_COUNT_LIMIT = 1 << 24
_OFF = (0, False)
_ONE = (1,)
#: What converters write of features that a model does not have: key → values that change nothing.
_NEUTRAL: dict[str, tuple[object, ...]] = {
    "attention.causal": (True,),
    "attention.clamp_kqv": _OFF,
    "attention.max_alibi_bias": _OFF,
    "attention.output_scale": (0, 1),
    "attention.scale": _OFF,
    "attention.shared_kv_layers": _OFF,
    "attention.temperature_length": _OFF,
    "attention.temperature_scale": _OFF,
    "attn_logit_softcapping": _OFF,
    "embedding_scale": (0, 1),
    "expert_count": _OFF,
    "expert_group_count": (0, 1),
    "expert_group_used_count": (0, 1),
    "expert_shared_count": _OFF,
    "expert_weights_scale": (0, 1),
    "final_logit_softcapping": _OFF,
    "leading_dense_block_count": _OFF,
    "logit_scale": (0, 1),
    "nextn_predict_layers": _OFF,
    "pooling_type": _OFF,
    "residual_scale": (0, 1),
    "rope.dimension_sections": ([0, 0, 0, 0],),
    "rope.scaling.alpha": (0, 1),
    "rope.scaling.attn_factor": _ONE,
    "rope.scaling.factor": (0, 1),
    "rope.scaling.type": ("none",),
    "rope.scaling.yarn_attn_factor": _ONE,
    "rope.scaling.yarn_ext_factor": (0, -1),
    "rope.scaling.yarn_log_multiplier": _OFF,
    "router_logit_softcapping": _OFF,
    "swin_norm": _OFF,
    "use_parallel_residual": _OFF,
}
#: Which layers have a window.
PATTERN = "attention.sliding_window_pattern"
#: Of no effect by themselves, only beside another key that is looked at in its turn.
_BESIDE = {
    PATTERN: "attention.sliding_window",
    "expert_feed_forward_length": "expert_count",
    "expert_gating_func": "expert_count",
    "expert_shared_feed_forward_length": "expert_shared_count",
    "expert_used_count": "expert_count",
    "expert_weights_norm": "expert_count",
    "rope.freq_base_swa": "attention.sliding_window",
    "rope.dimension_count_swa": "attention.sliding_window",
    "rope.scaling.finetuned": "rope.scaling.type",
    "rope.scaling.original_context_length": "rope.scaling.type",
    "rope.scaling.yarn_beta_fast": "rope.scaling.type",
    "rope.scaling.yarn_beta_slow": "rope.scaling.type",
}
#: The same as another key's where it changes nothing.
_SAME = {
    "attention.key_length_swa": "attention.key_length",
    "attention.value_length_swa": "attention.value_length",
    "embedding_length_out": "embedding_length",
}


@dataclass(frozen=True)
class Fields:
    """The metadata of one GGUF file; `arch` is the prefix of the architecture's keys."""

    header: Header
    arch: str

    def error(self, reason: str) -> ModelError:
        """A ModelError about this file."""
        return ModelError(str(self.header.path), reason)

    def get(self, key: str) -> Any:
        """The value of `arch.key`, or None; that of each layer, where it is the same for all."""
        found = self.header.fields.get(f"{self.arch}.{key}")
        if isinstance(found, list) and found and len(found) == self.get("block_count"):
            first = found[0]
            if all(type(each) is type(first) and each == first for each in found):
                return first
        return found

    def count(self, key: str, default: int | None = None) -> int:
        """A whole number above zero. Raises ModelError for anything else."""
        found = self.get(key)
        if found is None and default is not None:
            return default
        if isinstance(found, bool) or not isinstance(found, int) or not 0 < found < _COUNT_LIMIT:
            raise self.error(f"{self.arch}.{key} is {shown(found)}, not a positive whole number")
        return found

    def has(self, tensor: str) -> bool:
        """Whether the file has a tensor."""
        return tensor in self.header.tensors

    def layers(self) -> int:
        """The number of blocks; each has tensors of its own, so the file bounds it."""
        found = self.count("block_count")
        if found > len(self.header.tensors):
            raise self.error(f"claims {found} blocks, but has {len(self.header.tensors)} tensors")
        return found

    def counts(self, key: str, *, least: int = 1) -> list[int]:
        """A whole number from `least` on for each block; one alone is that of all of them."""
        found, layers = self.header.fields.get(f"{self.arch}.{key}"), self.layers()
        if not isinstance(found, list):
            return [self.count(key)] * layers
        whole = all(type(each) is int and least <= each < _COUNT_LIMIT for each in found)
        if len(found) != layers or not whole:
            raise self.error(f"{self.arch}.{key} is {shown(found)}, not a number for each block")
        return found

    def real(self, key: str, default: float | None = None) -> float:
        """A number above zero. Raises ModelError for anything else.

        Files hold 32-bit floats; the shortest decimal that reads back as the same one is given,
        so that 1e-5 is not 9.999999747378752e-06.
        """
        found = self.get(key)
        if found is None and default is not None:
            return default
        number = isinstance(found, (int, float)) and not isinstance(found, bool)
        if not number or not 0 < found < 1e30:
            raise self.error(f"{self.arch}.{key} is {shown(found)}, not a number above zero")
        return decimal(found)

    def only(self, known: frozenset[str]) -> None:
        """Raises ModelError for a key of the architecture that is not in `known`.

        One whose value changes nothing passes.
        """
        start = f"{self.arch}."
        for key, value in self.header.fields.items():
            name = key.removeprefix(start)
            if name != key and name not in known and not self._changes_nothing(name):
                raise self.error(f"{key} = {shown(value)} is not supported")

    def fixed(self, key: str, *values: object) -> None:
        """Raises ModelError where `arch.key` is there and is none of `values`."""
        found = self.get(key)
        if found is not None and found not in values:
            raise self.error(f"{self.arch}.{key} = {shown(found)} is not supported")

    def period(self, every: int) -> None:
        """Raises ModelError where `arch.PATTERN` says another pattern of layers than we know.

        It is the pattern's length, or for each layer whether it has a window: all but the last of
        every so many have one.
        """
        found = self.header.fields.get(f"{self.arch}.{PATTERN}")
        flags = [(layer + 1) % every != 0 for layer in range(self.layers())]
        if found is not None and found not in (every, flags):
            raise self.error(f"{self.arch}.{PATTERN} = {shown(found)} is not supported")

    def windowed(self, layers: int, every: int, *, first: bool = False) -> list[bool]:
        """For each layer whether it has a window: as `arch.PATTERN` says, or all but the last of
        every so many; but the first where `first`. Raises ModelError for a pattern that is none.
        """
        found = self.header.fields.get(f"{self.arch}.{PATTERN}", every)
        if type(found) is int and 0 < found < _COUNT_LIMIT:
            return [(layer + (not first)) % found != 0 for layer in range(layers)]
        if not isinstance(found, list) or len(found) != layers or set(found) - {True, False}:
            raise self.error(f"{self.arch}.{PATTERN} = {shown(found)} is not supported")
        return [bool(each) for each in found]

    def _changes_nothing(self, key: str) -> bool:
        if key in _BESIDE:
            return self.get(_BESIDE[key]) is None or self._changes_nothing(_BESIDE[key])
        found = self.get(key)
        if key in _SAME:
            return bool(found == self.get(_SAME[key]))
        if key == "attention.sliding_window" and isinstance(found, int):
            # A window that holds the whole context.
            return not found or found >= self.count("context_length")
        return found in _NEUTRAL.get(key, ())


def decimal(number: float) -> float:
    """The shortest decimal that reads back as the same 32-bit float."""
    import numpy as np

    return float(str(np.float32(number)))


def shown(value: object) -> str:
    """A value in a message, cut where it is long."""
    if isinstance(value, list):
        value = value[:16]
    text = "missing" if value is None else repr(value[:60] if isinstance(value, str) else value)
    return text if len(text) <= 40 else f"{text[:37]}..."
