"""What files have of mixtures beyond a router and experts, and where the layers end that run."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from gptcli.models.gguf import sizes
from gptcli.models.gguf import tensors as layout
from gptcli.models.gguf.fields import Fields
from gptcli.models.gguf.sizes import Sizes
from gptcli.models.gguf.takes import Take
from gptcli.models.gguf.tensors import BLOCK, LAYER

FURTHER = "nextn_predict_layers"
KEYS = frozenset({"expert_count", "expert_used_count", "expert_feed_forward_length"})
#: Of those that choose by sigmoids, in groups.
ROUTING_KEYS = KEYS | {"expert_gating_func", "expert_weights_scale", "expert_weights_norm"}
ROUTING_KEYS |= {"expert_group_count", "expert_group_used_count"}
SHARED_KEYS = frozenset({"expert_shared_count", "expert_shared_feed_forward_length"})
DENSE_KEYS = frozenset({"leading_dense_block_count", FURTHER})
#: What `expert_gating_func` calls these.
SOFTMAX, SIGMOID = 1, 2


def running(
    fields: Fields, size: Sizes | None = None, *, latent: bool = False
) -> tuple[Sizes, frozenset[str]]:
    """The sizes of the layers that run, and the tensors of those that guess further tokens.

    size: of all of them, where it is not simply read; latent: see sizes.read. Raises ModelError for
    sizes that cannot be.
    """
    size = size or sizes.read(fields, latent=latent)
    guessing = none_or(fields, FURTHER)
    if guessing >= size.layers:
        raise fields.error(f"guesses further tokens in {guessing} of {size.layers} blocks")
    layers = size.layers - guessing
    behind = {f"blk.{layer}" for layer in range(layers, size.layers)}
    names = fields.header.tensors
    unused = frozenset(name for name in names if ".".join(name.split(".")[:2]) in behind)
    return replace(size, layers=layers), unused


def none_or(fields: Fields, key: str, default: int = 0) -> int:
    """A count that may be 0."""
    found = fields.get(key)
    found = default if found is None else found
    return 0 if found == 0 and found is not False else fields.count(key, default)


def routing(fields: Fields, *, sigmoid: bool = True) -> dict[str, Any]:
    """What config.json says of DeepSeek's routing. Raises ModelError for another one.

    sigmoid: by what the best are chosen; else by softmax, of which older files say nothing.
    """
    fields.fixed("expert_gating_func", SIGMOID if sigmoid else SOFTMAX)
    scale = "expert_weights_scale"
    return {
        "n_group": max(1, none_or(fields, "expert_group_count", 1)),
        "topk_group": max(1, none_or(fields, "expert_group_used_count", 1)),
        "norm_topk_prob": bool(fields.get("expert_weights_norm")),
        # Files of old have none, or a 0.
        "routed_scaling_factor": 1.0 if fields.get(scale) in (None, 0) else fields.real(scale),
    }


def shared(size: Sizes, hidden: int, block: str) -> list[Take]:
    """An expert that every token goes through, under Llama's names in a module of the layer."""
    theirs, width = f"{LAYER}.{block}", size.width
    return [
        *layout.linear(f"{theirs}.gate_proj", f"{BLOCK}.ffn_gate_shexp", hidden, width),
        *layout.linear(f"{theirs}.up_proj", f"{BLOCK}.ffn_up_shexp", hidden, width),
        *layout.linear(f"{theirs}.down_proj", f"{BLOCK}.ffn_down_shexp", width, hidden),
    ]


def correction(name: str, experts: int, *, layer: str = LAYER, one_row: bool = False) -> Take:
    """What is added to chances when experts are chosen, as it is named in the layer.

    layer: what stands before its name; one_row: it is stored as a matrix of one row.
    """
    stored = (1, experts) if one_row else None
    source = f"{BLOCK}.exp_probs_b.bias"
    return Take(f"{layer}.{name}", source, (experts,), stored=stored, exact=True)
