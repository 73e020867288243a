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
    kinds = config.get("layer_types") or [""] * layers
    width = config.get("hidden_size") or config["n_embd"]
    heads = config.get("num_attention_heads") or config["n_head"]
    stored = config.get("num_key_value_heads") or heads
    head_dim = config.get("head_dim") or width // heads
    own = {int(at): each for at, each in (config.get("per_layer_config") or {}).items()}
    # What Gemma 4's last layers read is that of others.
    caching = kinds[: layers - (config.get("num_kv_shared_layers") or 0)]
    cached = sum(
        stored * own.get(layer, {}).get("head_dim", head_dim)
        for layer, kind in enumerate(caching)
        if kind not in ("linear_attention", "conv")
    )
    context = config.get("max_position_embeddings") or config["n_positions"]
    return Sizes(context, 2 * cached)


def _of_file(places: Places) -> Sizes:
    found = sorted(places.folder.glob("*.gguf"))
    if not found:
        raise FileNotFoundError(places.folder)
    fields = header.read(found[0]).fields
    of = fields["general.architecture"]

    def each(key: str, layers: int, default: int | None = None) -> list[int]:
        said = fields.get(f"{of}.attention.{key}", default)
        return said if isinstance(said, list) else [said] * layers

    heads, layers = fields[f"{of}.attention.head_count"], fields[f"{of}.block_count"]
    stored = each("head_count_kv", layers, heads)
    interval = fields.get(f"{of}.full_attention_interval", 1)
    every = [at % interval != 0 for at in range(1, layers + 1)]
    recurrent = fields.get(f"{of}.attention.recurrent_layers", every)
    stored = [0 if carries else count for count, carries in zip(stored, recurrent, strict=True)]
    head_dim = fields.get(f"{of}.attention.key_length")
    head_dim = head_dim or fields[f"{of}.embedding_length"] // heads
    near = fields.get(f"{of}.attention.key_length_swa", head_dim)
    windowed = each("sliding_window_pattern", layers, False)
    caching = layers - fields.get(f"{of}.attention.shared_kv_layers", 0)
    both = zip(stored[:caching], windowed, strict=False)
    cached = sum(heads * (near if window else head_dim) for heads, window in both)
    return Sizes(fields[f"{of}.context_length"], 2 * cached)
