"""What the benchmark has to know of a model, from its checkpoint or from any of its files."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from gptcli.formats.gguf import header
from tests.bench.weights.places import Places


@dataclass(frozen=True)
class Sizes:
    """context: tokens that there is room for; cached: numbers that a token leaves in a KV cache."""

    context: int
    cached: int


def read(places: Places) -> Sizes:
    """Of the checkpoint where there is one. Raises FileNotFoundError where there is no file."""
    path = places.checkpoint / "config.json"
    return _of_config(json.loads(path.read_text())) if path.exists() else _of_file(places)


def _of_config(config: dict[str, Any]) -> Sizes:
    layers = config.get("num_hidden_layers") or config["n_layer"]
    kinds = config.get("layer_types") or []
    layers -= sum(kind in ("linear_attention", "conv") for kind in kinds)
    width = config.get("hidden_size") or config["n_embd"]
    heads = config.get("num_attention_heads") or config["n_head"]
    stored = config.get("num_key_value_heads") or heads
    head_dim = config.get("head_dim") or width // heads
    context = config.get("max_position_embeddings") or config["n_positions"]
    return Sizes(context, 2 * layers * stored * head_dim)


def _of_file(places: Places) -> Sizes:
    found = sorted(places.folder.glob("*.gguf"))
    if not found:
        raise FileNotFoundError(places.folder)
    fields = header.read(found[0]).fields
    of = fields["general.architecture"]
    heads = fields[f"{of}.attention.head_count"]
    stored = fields.get(f"{of}.attention.head_count_kv", heads)
    every = fields[f"{of}.block_count"]
    of_all = sum(stored) if isinstance(stored, list) else every * stored
    if (interval := fields.get(f"{of}.full_attention_interval")) is not None:
        of_all = every // interval * stored
    head_dim = fields.get(f"{of}.attention.key_length")
    head_dim = head_dim or fields[f"{of}.embedding_length"] // heads
    return Sizes(fields[f"{of}.context_length"], 2 * of_all * head_dim)
