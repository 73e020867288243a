"""Mamba-2 in GGUF files: its sizes, and its tensors as they are published."""

from __future__ import annotations

from dataclasses import dataclass

from gptcli.models.gguf import tensors as layout
from gptcli.models.gguf.fields import Fields
from gptcli.models.gguf.takes import Take
from gptcli.models.gguf.tensors import BLOCK

KEYS = frozenset(f"ssm.{name}" for name in ("conv_kernel", "state_size", "group_count"))
KEYS |= {"ssm.inner_size", "ssm.time_step_rank"}


@dataclass(frozen=True)
class Memories:
    """inner: numbers of all heads together; state: of a key; taps: of the convolution."""

    inner: int
    heads: int
    groups: int
    state: int
    taps: int
    filter_bias: bool
    normed: bool

    @property
    def size(self) -> int:
        """The numbers of a head."""
        return self.inner // self.heads


def read(fields: Fields, layer: int) -> Memories:
    """The sizes of a file; layer: one that has memories. Raises ModelError for what cannot be."""
    found = Memories(
        fields.count("ssm.inner_size"),
        fields.count("ssm.time_step_rank"),
        fields.count("ssm.group_count"),
        fields.count("ssm.state_size"),
        fields.count("ssm.conv_kernel"),
        fields.has(f"blk.{layer}.ssm_conv1d.bias"),
        fields.has(f"blk.{layer}.ssm_norm.weight"),
    )
    if found.inner % found.heads or found.heads % found.groups:
        raise fields.error(f"cannot have {found.heads} memories of {found.inner} in all")
    return found


def takes(memories: Memories, width: int, theirs: str) -> list[Take]:
    """The tensors of a layer, stored in the module `theirs`."""
    inner, heads, groups, taps = memories.inner, memories.heads, memories.groups, memories.taps
    channels = inner + 2 * groups * memories.state
    conv, rows = f"{BLOCK}.ssm_conv1d", inner + channels + heads
    filters = (channels, 1, taps)
    # The file has vectors as matrices: of one column, and of a row for each group.
    single, norm = (heads,), (groups, inner // groups)
    found = [
        *layout.linear(f"{theirs}.in_proj", f"{BLOCK}.ssm_in", rows, width),
        Take(f"{theirs}.conv1d.weight", f"{conv}.weight", (channels, taps), stored=filters),
        Take(f"{theirs}.dt_bias", f"{BLOCK}.ssm_dt.bias", (heads,)),
        Take(f"{theirs}.A_log", f"{BLOCK}.ssm_a", (heads, 1), log=True, stored=single),
        Take(f"{theirs}.D", f"{BLOCK}.ssm_d", (heads, 1), stored=single),
        *layout.linear(f"{theirs}.out_proj", f"{BLOCK}.ssm_out", width, inner),
    ]
    if memories.filter_bias:
        found.append(Take(f"{theirs}.conv1d.bias", f"{conv}.bias", (channels,)))
    if memories.normed:
        source = f"{BLOCK}.ssm_norm.weight"
        found.append(Take(f"{theirs}.norm.weight", source, norm, stored=(inner,)))
    return found
