"""Typed look-ups in GGUF metadata, and the refusal of what we do not know.

A key under the architecture's own prefix that is not on its list could change the maths, so it is
refused by name instead of being ignored.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gptcli.errors import ModelError
from gptcli.formats.gguf.header import Header

#: A count in a header is a size of the model; none of them comes near this.
_COUNT_LIMIT = 1 << 24


@dataclass(frozen=True)
class Fields:
    """The metadata of one GGUF file; `arch` is the prefix of the architecture's keys."""

    header: Header
    arch: str

    def error(self, reason: str) -> ModelError:
        """A ModelError about this file."""
        return ModelError(str(self.header.path), reason)

    def get(self, key: str) -> Any:
        """The value of `arch.key`, or None."""
        return self.header.fields.get(f"{self.arch}.{key}")

    def count(self, key: str, default: int | None = None) -> int:
        """A whole number above zero. Raises ModelError for anything else."""
        found = self.get(key)
        if found is None and default is not None:
            return default
        if isinstance(found, bool) or not isinstance(found, int) or not 0 < found < _COUNT_LIMIT:
            raise self.error(f"{self.arch}.{key} is {_shown(found)}, not a positive whole number")
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

    def real(self, key: str, default: float | None = None) -> float:
        """A number above zero. Raises ModelError for anything else.

        Files hold 32-bit floats; the shortest decimal that reads back as the same one is given,
        so that 1e-5 is not 9.999999747378752e-06.
        """
        found = self.get(key)
        if found is None and default is not None:
            return default
        if not isinstance(found, float) or not 0 < found < 1e30:
            raise self.error(f"{self.arch}.{key} is {_shown(found)}, not a number above zero")
        import numpy as np

        return float(str(np.float32(found)))

    def only(self, known: frozenset[str]) -> None:
        """Raises ModelError for a key of the architecture that is not in `known`."""
        start = f"{self.arch}."
        for key, value in self.header.fields.items():
            if key.startswith(start) and key.removeprefix(start) not in known:
                raise self.error(f"{key} = {_shown(value)} is not supported")

    def fixed(self, key: str, *values: object) -> None:
        """Raises ModelError where `arch.key` is there and is none of `values`."""
        found = self.get(key)
        if found is not None and found not in values:
            raise self.error(f"{self.arch}.{key} = {_shown(found)} is not supported")


def _shown(value: object) -> str:
    text = "missing" if value is None else repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
