"""Token ids → logits → token ids.

    model      config.json as a ModelSpec, and which stored tensor is which of ours
    describe   a directory → that, and the headers of its weights: read once, handed down
    weights    stored tensors → ours: placement, quantised checkpoints, adapters
    state      what tokens leave behind: the KV cache, and what prompts share of it
    torch, cpu the forward pass, by torch or by the kernels: prefill and decode, ids → logits
    host       whether a model fits, and what a token reads of it
    asking     logits → the next id, again and again; scores, trees, continuations
    probes     what is seen inside

It never sees text; import what you need from the modules (they import torch, this file does not).
"""
