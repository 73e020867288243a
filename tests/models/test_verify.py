from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from gptcli import models
from gptcli.errors import ModelError
from gptcli.formats.safetensors import shards
from gptcli.models import facts, manifest
from gptcli.types.models import ModelDir
from tests.opening import facts_of


def _model(path: Path) -> ModelDir:
    return ModelDir("mine", path, str(path))


def _sharded(path: Path, index: object) -> None:
    (path / "model.safetensors").rename(path / "model-00001-of-00001.safetensors")
    (path / "model.safetensors.index.json").write_text(json.dumps(index))


def test_sound_directory(model_dir: Path, drain) -> None:
    """A problem found where there is none."""
    verdict = drain(models.verify(_model(model_dir)))
    assert verdict.ok and {check.file for check in verdict.checks} == {
        "config.json",
        "tokenizer.json",
        "model.safetensors",
    }


DAMAGE = {
    "config.json": lambda p: (p / "config.json").write_text("{"),
    "tokenizer.json": lambda p: (p / "tokenizer.json").unlink(),
    "model.safetensors": lambda p: (p / "model.safetensors").write_bytes(b"\1" * 100),
    "gptcli.json": lambda p: (p / "gptcli.json").write_text(
        f'{{"format": {manifest.FORMAT}, "files": []}}'
    ),
}


@pytest.mark.parametrize("what", DAMAGE)
def test_damage_is_found(model_dir: Path, drain, what: str) -> None:
    """A broken file passed over, or an exception instead of a finding."""
    DAMAGE[what](model_dir)
    verdict = drain(models.verify(_model(model_dir)))
    assert {check.file for check in verdict.checks if check.problem} == {what}


@pytest.mark.parametrize(
    "shard",
    ["../x.safetensors", "/x.safetensors", "a/x.safetensors", "a\\x.safetensors", "..", "x.bin", 1],
)
def test_shards_stay_inside(model_dir: Path, drain, shard: object) -> None:
    """An index that leads the reader out of the directory."""
    _sharded(model_dir, {"weight_map": {"a": shard}})
    with pytest.raises(ModelError, match="names the shard"):
        shards.find(model_dir)
    assert not drain(models.verify(_model(model_dir))).ok


def test_shard_links_stay_inside(model_dir: Path, tmp_path: Path) -> None:
    """A link that leads out, or a cache's own links refused."""
    save_file({"a": np.zeros(2)}, tmp_path / "other.safetensors")
    name = "model-00002-of-00002.safetensors"
    _sharded(model_dir, {"weight_map": {"a": name}})
    (model_dir / name).symlink_to("../other.safetensors")
    with pytest.raises(ModelError, match="leads out"):
        shards.find(model_dir)
    snapshot = tmp_path / "hub" / "models--a--b" / "snapshots" / "0"
    snapshot.parent.mkdir(parents=True)
    model_dir.rename(snapshot)
    (snapshot / name).unlink()
    blobs = snapshot.parents[1] / "blobs"
    blobs.mkdir()
    (blobs / "1").touch()
    (snapshot / name).symlink_to("../../blobs/1")
    assert shards.find(snapshot).files == (snapshot / name,)


def test_index_must_agree_with_its_shards(model_dir: Path, drain) -> None:
    """A tensor that the index places in a shard which lacks it."""
    name = "model-00001-of-00001.safetensors"
    _sharded(model_dir, {"weight_map": {"a": name, "b": name}})
    problems = [c.problem for c in drain(models.verify(_model(model_dir))).checks if c.problem]
    assert problems == [f"tensor b is not in {name}"]


def test_facts_of_both_dialects(model_dir: Path) -> None:
    """GPT-2's key names not understood, or kv heads missing where they equal the heads."""
    found = facts_of(_model(model_dir))
    assert (found.family, found.layers, found.heads, found.kv_heads) == ("gpt2", 2, 4, 4)
    assert (found.width, found.context, found.vocabulary) == (8, 16, None)
    assert (found.parameters, found.dtypes, found.licence) == (15, ("F32",), None)
    config = {"model_type": "llama", "num_attention_heads": 8, "num_key_value_heads": 2}
    config |= {"num_hidden_layers": 3, "hidden_size": 64, "max_position_embeddings": 99}
    (model_dir / "config.json").write_text(json.dumps(config))
    found = facts_of(_model(model_dir))
    assert (found.layers, found.heads, found.kv_heads, found.context) == (3, 8, 2, 99)


def test_facts_of_the_default_model(default_model: Path) -> None:
    """Parameters counted with the tied embedding twice."""
    found = facts_of(_model(default_model))
    assert found.parameters == 134_515_008 and found.dtypes == ("Q4_1", "Q8_0", "F32")
    assert found.quantised == "in the blocks of the GGUF file"
    assert found.licence == "apache-2.0" and found.vocabulary == 49152


@pytest.mark.parametrize(
    ("readme", "licence"),
    [
        ("---\nlicense: apache-2.0\n---\ntext", "apache-2.0"),
        ("---\ntags:\n- x\nlicense: 'mit'\n---\n", "mit"),
        ("---\r\nlicense: mit\r\n---\r\n", "mit"),
        ("# Title\nlicense: mit\n", None),
        ("---\nlicense_name: x\nlicense:\n- mit\n---\n", None),
        ("", None),
    ],
)
def test_licence_from_the_front_matter(tmp_path: Path, readme: str, licence: str | None) -> None:
    """A licence read from prose, or from another key."""
    (tmp_path / "README.md").write_text(readme)
    assert facts.licence(tmp_path) == licence


@pytest.mark.parametrize("text", ["[" * 100_000, "{}" + " " * (5 << 20), "\xff", '{"a":1,"a":2}'])
def test_untrusted_json(model_dir: Path, text: str) -> None:
    """A RecursionError, a file of gigabytes in memory, a key that means two things."""
    (model_dir / "config.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(ModelError):
        facts_of(_model(model_dir))
