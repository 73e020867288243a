"""The sizes of a layer, and what a token leaves behind in it."""

from __future__ import annotations

from gptcli.plain import dataclass

#: Features that codes of the KV cache come in, and bytes of their scale.
_CODES, _SCALE = 16, 4


@dataclass(frozen=True)
class LayerShape:
    """The sizes of one layer: heads of attention, features of each, features inside the MLP.

    value_dim: features of a value that is kept, None for as many as of a key; 0 where values are
    features of keys.
    """

    heads: int
    kv_heads: int
    head_dim: int
    hidden: int
    value_dim: int | None = None

    @property
    def group(self) -> int:
        """How many query heads share one key/value head."""
        return self.heads // self.kv_heads

    def widths(self, element_size: int) -> tuple[int, int]:
        """How many numbers of so many bytes a head's key and its value are kept as.

        Those of one byte are codes of 10 and 8 bits, padded, and a scale; see source/codes.h.
        """
        if element_size != 1:
            return self.head_dim, self.values
        keys, values = (-(-size // _CODES) * _CODES for size in (self.head_dim, self.values))
        return keys * 5 // 4 + _SCALE, values + _SCALE

    def kept(self, element_size: int) -> int:
        """How many bytes a token leaves behind: its keys and its values, in such numbers."""
        return self.kv_heads * sum(self.widths(element_size)) * element_size

    @property
    def values(self) -> int:
        """Features of a value that is kept."""
        return self.head_dim if self.value_dim is None else self.value_dim
