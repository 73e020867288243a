"""Nemotron 3: Nemotron-H whose third kind of block is a mixture, of latents perhaps."""

from __future__ import annotations

from gptcli.models.gguf import experts, sizes
from gptcli.models.gguf import tensors as layout
from gptcli.models.gguf.families import nemotron_h
from gptcli.models.gguf.families.nemotron_h import MIXER
from gptcli.models.gguf.fields import Fields
from gptcli.models.gguf.plan import ConversionPlan
from gptcli.models.gguf.tensors import BLOCK

_LATENT = "moe_latent_size"
_KEYS = nemotron_h.KEYS | experts.ROUTING_KEYS | experts.SHARED_KEYS | {_LATENT, experts.FURTHER}


def plan(fields: Fields) -> ConversionPlan:
    """The plan of a `nemotron_h_moe` file. Raises ModelError for what is not supported, by name.

    The last block may guess further tokens; it has attention and a mixture.
    """
    fields.only(_KEYS)
    fields.fixed("expert_shared_count", 1)
    size, kinds, memories, further = nemotron_h.read(fields, "moe")
    count, used = sizes.experts(fields)
    hidden = fields.count("expert_feed_forward_length")
    beside = fields.count("expert_shared_feed_forward_length")
    latent = fields.count(_LATENT) if fields.get(_LATENT) else None
    found = {
        **nemotron_h.config(fields, size, kinds, memories),
        **experts.routing(fields),
        "moe_intermediate_size": hidden,
        "moe_latent_size": latent,
        "moe_shared_expert_intermediate_size": beside,
        "n_routed_experts": count,
        "n_shared_experts": 1,
        "num_experts_per_tok": used,
    }
    width, block = size.width, "layers.{i}.mixer"
    mixture = [
        *layout.linear(f"{MIXER}.gate", f"{BLOCK}.ffn_gate_inp", count, width, exact=True),
        experts.correction("gate.e_score_correction_bias", count, layer=MIXER),
        *layout.stacked(MIXER, "up_proj", "up", count, (hidden, latent or width)),
        *layout.stacked(MIXER, "down_proj", "down", count, (latent or width, hidden)),
        *layout.linear(
            f"backbone.{block}.shared_experts.up_proj", f"{BLOCK}.ffn_up_shexp", beside, width
        ),
        *layout.linear(
            f"backbone.{block}.shared_experts.down_proj", f"{BLOCK}.ffn_down_shexp", width, beside
        ),
    ]
    if latent:
        into, out = f"{BLOCK}.ffn_latent_down", f"{BLOCK}.ffn_latent_up"
        mixture += layout.linear(f"{MIXER}.fc1_latent_proj", into, latent, width)
        mixture += layout.linear(f"{MIXER}.fc2_latent_proj", out, width, latent)
    return nemotron_h.built(size, kinds, memories, found, mixture, further)
