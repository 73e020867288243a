"""What each layer is told of its token besides the stream: per-layer embeddings."""

from __future__ import annotations

from gptcli.plain import dataclass


@dataclass(frozen=True)
class LayerInputs:
    """`size` numbers of every token for every layer, as in Gemma 3n and 4.

    A second table has them for `rows` tokens, layer by layer in a row. What the embedding is
    projected to is added:

        told = (norm(project(embedding) / sqrt(width)) + table(id) · sqrt(size)) / sqrt(2)

    of each layer's part by itself, sqrt(size) rounded to the model's dtype. Behind its MLP a layer
    adds to the stream: post_norm(out(activation(gate(stream)) · told)).
    """

    size: int
    rows: int
