"""What a decoder says of itself where it stands."""

from __future__ import annotations

import torch

from gptcli.engine.host import traffic
from gptcli.engine.runner import RunnerFacts
from gptcli.engine.torch.decoder import Decoder
from gptcli.engine.torch.packed import Packed


def facts_of(decoder: Decoder) -> RunnerFacts:
    """See RunnerFacts."""
    weight, spec = decoder.embedding.weight, decoder.spec
    # A tied table is read in full by the head.
    rows = {"positions.weight", "layer_inputs.table.weight"}
    rows |= set() if spec.tied else {"embedding.weight"}
    parts = ((name, p.nbytes) for name, p in decoder.named_parameters())
    name = str(weight.dtype).removeprefix("torch.")
    bits = {each.bits for each in decoder.modules() if isinstance(each, Packed)}
    return RunnerFacts(
        device=str(weight.device),
        dtype=f"int{min(bits)}" if bits else name,
        activations=name if bits else None,
        kv_dtype=name if bits else None,
        itemsize=weight.dtype.itemsize,
        threads=torch.get_num_threads() if weight.device.type == "cpu" else None,
        instructions=None,
        weight_bytes=traffic.weight_bytes(spec, (part for part in parts if part[0] not in rows)),
    )
