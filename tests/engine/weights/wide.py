"""A small llama whose matrices are as wide as the groups that people quantise in."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from tests.engine.weights import packed
from tests.opening import load, plan

IDS = [3, 1, 4, 1, 5, 9, 2, 6, 58, 0, 33]
_WIDTH, _HIDDEN, _KEYS, _VOCABULARY = 128, 256, 64, 61
_CONFIG = {
    "model_type": "llama",
    "hidden_size": _WIDTH,
    "intermediate_size": _HIDDEN,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "vocab_size": _VOCABULARY,
    "rms_norm_eps": 1e-6,
    "tie_word_embeddings": False,
}


def weights(*, tied: bool) -> packed.Tensors:
    """Random weights in float32, by stored name."""
    shapes = {"model.embed_tokens": (_VOCABULARY, _WIDTH), "model.norm": (_WIDTH,)}
    if not tied:
        shapes["lm_head"] = (_VOCABULARY, _WIDTH)
    for layer in ("model.layers.0", "model.layers.1"):
        shapes |= {f"{layer}.{norm}_layernorm": (_WIDTH,) for norm in ("input", "post_attention")}
        rows = {"q": _WIDTH, "k": _KEYS, "v": _KEYS, "o": _WIDTH}
        shapes |= {f"{layer}.self_attn.{name}_proj": (n, _WIDTH) for name, n in rows.items()}
        shapes |= {f"{layer}.mlp.{name}_proj": (_HIDDEN, _WIDTH) for name in ("gate", "up")}
        shapes[f"{layer}.mlp.down_proj"] = (_WIDTH, _HIDDEN)
    random = torch.Generator().manual_seed(5)
    found = {}
    for name, shape in shapes.items():
        numbers = torch.randn(shape, generator=random)
        if len(shape) == 1:
            found[f"{name}.weight"] = 1 + 0.1 * numbers
        else:
            # The stream stays near 1.
            found[f"{name}.weight"] = numbers if "embed" in name else numbers / shape[1] ** 0.5
    return found


def make(
    to: Path,
    pack: packed.Pack | Mapping[str, packed.Pack] | None,
    config: Mapping[str, Any],
    *,
    ends: bool = False,
    tied: bool = False,
    dtype: torch.dtype = torch.float32,
) -> packed.Tensors:
    """A model directory whose linear layers are packed, and what its weights then mean.

    pack: one packer, or several by a part of the name; ends: embedding and head are packed too;
    dtype: that of all others.
    """
    to.mkdir()
    stored, meaning = {}, {}
    for name, tensor in weights(tied=tied).items():
        inside = ends or ".layers." in name
        found = _packer(pack, name) if tensor.dim() == 2 and inside else None
        if found is None:
            stored[name] = meaning[name] = tensor.to(dtype)
            continue
        parts, meaning[name] = found(tensor)
        module = name.removesuffix(".weight")
        stored |= {f"{module}.{part}": each.contiguous() for part, each in parts.items()}
    save_file(stored, to / "model.safetensors")
    (to / "config.json").write_text(json.dumps({**_CONFIG, "tie_word_embeddings": tied, **config}))
    return meaning


def _packer(
    pack: packed.Pack | Mapping[str, packed.Pack] | None, name: str
) -> Callable[[torch.Tensor], tuple[packed.Tensors, torch.Tensor]] | None:
    if isinstance(pack, Mapping):
        return next((each for part, each in pack.items() if part in name), None)
    return pack


def logits(directory: Path, **flags: Any) -> torch.Tensor:
    """After every token of IDS, by torch in float32."""
    runner = load(directory, device="cpu", dtype="float32", **flags)
    return runner.all_logits(IDS, runner.new_state())


def assert_same(directory: Path, meaning: packed.Tensors, beside: Path) -> None:
    """The weights are exactly `meaning`, and the logits those of a plain checkpoint of it."""
    source = plan(directory).source
    for name, expected in meaning.items():
        found = source.read(name)
        assert found.dtype == expected.dtype == source.tensors[name].dtype, name
        assert torch.equal(found, expected), name
    beside.mkdir()
    plain = {name: tensor.float().contiguous() for name, tensor in meaning.items()}
    save_file(plain, beside / "model.safetensors")
    tied = "lm_head.weight" not in meaning
    (beside / "config.json").write_text(json.dumps({**_CONFIG, "tie_word_embeddings": tied}))
    assert (logits(directory) - logits(beside)).abs().max().item() <= 3e-5
