"""Stored tensors → ours: rules, placement, quantised checkpoints, adapters."""
