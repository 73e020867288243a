"""Fields of config.json that have two names, or places: one answers, or it is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gptcli.engine.describe import describe
from gptcli.engine.model.config_fields import ConfigFields
from gptcli.engine.model.families import family_of, read_spec, supported
from gptcli.errors import ModelError
from tests.engine.helpers import GOLDENS


def _spec(fields: dict[str, Any]) -> Any:
    return read_spec(ConfigFields("config.json", fields))[1]


PAIRS = [
    (family, other, own)
    for family in supported()
    for other, own in family_of(ConfigFields("", {"model_type": family})).other_names.items()
]
#: What configs leave to the default.
_UNSAID = {"sliding_window_pattern": 1, "rope_theta": 1e4, "partial_rotary_factor": 0.5}
_UNSAID |= {"tie_word_embeddings": True}
#: The same, family by family.
_KINDS = {"bamba": ["full_attention", "linear_attention"], "falcon_h1": ["hybrid", "hybrid"]}
GPT2 = {"model_type": "gpt2", "n_embd": 64, "n_layer": 2, "n_positions": 32, "vocab_size": 61}


def test_every_second_name_of_transformers_is_known() -> None:
    """A field under a name that only transformers reads: its default is taken without a word."""
    from transformers import CONFIG_MAPPING

    for family in supported():
        ours = family_of(ConfigFields("", {"model_type": family})).other_names
        for other, own in CONFIG_MAPPING[family].attribute_map.items():
            if not own.endswith(("token_index", "num_nextn_predict_layers")):
                assert ours.get(other) == own or ours.get(own) == other, (family, other)


def test_the_other_name_is_read() -> None:
    """Eight heads taken for the twelve of the first GPT-2: other numbers, and no complaint."""
    assert _spec({**GPT2, "num_attention_heads": 8}).heads == 8
    assert _spec({**GPT2, "num_attention_heads": 8, "n_head": 8}).heads == 8


def test_names_that_contradict_each_other_are_refused() -> None:
    """Which of the two holds is for nobody here to say."""
    with pytest.raises(ModelError, match="'num_attention_heads' is 8, but 'n_head', which means"):
        _spec({**GPT2, "num_attention_heads": 8, "n_head": 4})


@pytest.mark.parametrize(("family", "other", "own"), PAIRS)
def test_each_pair(family: str, other: str, own: str) -> None:
    """A name in a family's list that is spelled as nobody writes it, or not used there."""
    (path, *_) = sorted((GOLDENS / family).glob("*/config.json"))
    if other == "num_local_experts" and family == "nemotron_h":
        path = GOLDENS / "nemotron_h/latent/config.json"
    config = json.loads(path.read_text())
    unsaid = _KINDS.get(family) if own == "layers_block_type" else _UNSAID.get(own)
    value = next(v for v in (unsaid, config.get(own), config.get(other)) if v)
    rest = {name: each for name, each in config.items() if name not in (own, other)}
    # What says the same in a third place.
    for name in ("rope_parameters", "layer_types"):
        rest.pop(name, None)
    if family == "gpt_neox" and own == "rope_theta":
        rest["rotary_pct"] = 0.5
    assert _spec({**rest, other: value}) == _spec({**rest, own: value})
    # The name is one that is read: another value makes another model, or none.
    try:
        changed = _spec({**rest, other: value * 2})
    except ModelError:
        return
    assert changed != _spec({**rest, own: value})


YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32}


def _llama(**fields: Any) -> dict[str, Any]:
    config: dict[str, Any] = json.loads((GOLDENS / "llama/tied/config.json").read_text())
    for name in ("rope_theta", "rope_scaling", "rope_parameters"):
        config.pop(name, None)
    return config | fields


def test_rope_scaling_beside_rope_parameters() -> None:
    """What a model's card says to add, beside what a newer transformers wrote: dropped."""
    alone = _spec(_llama(rope_scaling=YARN, rope_theta=1e6))
    both = _llama(rope_scaling=YARN, rope_parameters={**YARN, "rope_theta": 1e6})
    assert _spec(both) == alone and alone.each_layer[0].rope.scaling is not None
    default = {"rope_type": "default", "rope_theta": 1e6}
    with pytest.raises(ModelError, match="'rope_scaling' contradicts 'rope_parameters'"):
        _spec(_llama(rope_scaling=YARN, rope_parameters=default))
    with pytest.raises(ModelError, match="'rope_scaling' contradicts 'rope_parameters'"):
        _spec(_llama(rope_scaling={**YARN, "factor": 8.0}, rope_parameters=YARN))
    for empty in ({}, None):
        assert _spec(_llama(rope_scaling=empty, rope_parameters=default)) == _spec(
            _llama(rope_theta=1e6)
        )
        assert _spec(_llama(rope_scaling=YARN, rope_parameters=empty, rope_theta=1e6)) == alone


def test_a_theta_beside_the_parameters_is_told(tmp_path: Path) -> None:
    """Another base than the one that the file has first, without a word."""
    fields = _llama(rope_theta=1e4, rope_parameters={"rope_type": "default", "rope_theta": 1e6})
    (tmp_path / "config.json").write_text(json.dumps(fields))
    weights = (GOLDENS / "llama/tied/model.safetensors").read_bytes()
    (tmp_path / "model.safetensors").write_bytes(weights)
    described = describe(tmp_path)
    assert described.spec.each_layer[0].rope is not None
    assert described.spec.each_layer[0].rope.theta == 1e6
    (notice,) = described.notices
    assert notice.text == "'rope_theta' is 10000.0, and in 'rope_parameters' 1000000.0, " + (
        "which is taken"
    )
