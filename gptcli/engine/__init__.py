"""Token ids → logits → token ids.

    spec, families   config.json as a ModelSpec, and which stored tensor is which of ours
    weights, layout, mxfp4, load    safetensors on disk → a Decoder on a device
    memory, traffic  whether a model fits, and what a token reads of it
    decoder, layers, attend, masks, rope, mlp, cache    the forward pass
    runner           prefill and decode: ids → logits
    sampling, generate              logits → the next id, again and again

It never sees text; import what you need from the modules (they import torch, this file does not).
"""
