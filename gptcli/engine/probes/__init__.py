"""What can be seen inside the decoder while it runs, and in its weights: a file for each subject.

A probe is passed into the forward pass that completes text (`layers.Probe`); it copies what it
wants and computes the rest beside the pass, which stays as it was, bit for bit.
"""

from __future__ import annotations

from torch import Tensor

from gptcli.engine.layers import Probe


def together(*probes: Probe) -> Probe:
    """One probe that calls each of these."""

    def probe(point: str, layer: int, tensor: Tensor) -> None:
        for each in probes:
            each(point, layer, tensor)

    return probe
