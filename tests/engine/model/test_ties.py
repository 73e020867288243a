"""Head and embedding: tied as config.json says and as the files have them, in every family."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from gptcli.engine.describe import describe
from gptcli.formats import json as jsonfile
from tests.engine.helpers import CASES, GOLDENS, by_rules, few_of
from tests.engine.mechanisms import cover
from tests.opening import load, open_runner

#: A tied checkpoint of each family that can be tied.
_TIED = {
    case.split("/")[0]: case
    for case in sorted(CASES)
    if (GOLDENS / case / "model.safetensors").exists() and describe(GOLDENS / case).said.tied
}
TIED = {family: _TIED[family] for family in by_rules(_TIED)}


IDS = [[3, 1, 4, 1, 5]]


def _logits(runner: Any) -> np.ndarray[Any, Any]:
    return np.asarray(runner.prefill(IDS, runner.new_state(1)))


def _names(case: str) -> tuple[str, str]:
    """The stored name of the embedding, and the head's."""
    from dataclasses import replace

    described = describe(GOLDENS / case)
    rules = described.family.rules(replace(described.said, tied=False))
    by_target = {rule.targets: rule.stored for rule in rules.rules}
    embedding = by_target["embedding.weight",]
    found = next(name for name in described.stored.tensors if rules.bare(name) == embedding)
    return found, by_target["unembedding.weight",]


#: What a family brings to this are the two names: one of those with the same is enough.
some_families = few_of(
    TIED, cover({family: {_names(TIED[family])} for family in TIED}), of="family"
)


def _changed(case: str, to: Path, change: Any) -> Path:
    shutil.copytree(GOLDENS / case, to)
    tensors = load_file(to / "model.safetensors")
    change(tensors)
    save_file(tensors, to / "model.safetensors", metadata={"format": "pt"})
    return to


def _untied_config(directory: Path) -> None:
    path = directory / "config.json"
    config = json.loads(path.read_text())
    for each in (config, config.get("text_config")):
        if isinstance(each, dict):
            each["tie_word_embeddings"] = False
    path.write_text(json.dumps(config))


@pytest.mark.slow
@some_families
def test_tied_weights_may_have_the_head_s_name(tmp_path: Path, family: str) -> None:
    """A whole model refused since its converter kept the other of the two names."""
    case = TIED[family]
    embedding, head = _names(case)

    def rename(tensors: dict[str, torch.Tensor]) -> None:
        tensors[head] = tensors.pop(embedding)

    _changed(case, tmp_path / "m", rename)
    for opened in (load, open_runner):
        # Elsewhere in the file, weights have another alignment, and sums another order.
        found, wanted = _logits(opened(tmp_path / "m")), _logits(opened(GOLDENS / case))
        assert np.allclose(found, wanted, rtol=1e-6, atol=1e-6)
    assert describe(tmp_path / "m").spec.tied


@pytest.mark.slow
@some_families
def test_a_head_that_differs_is_used(tmp_path: Path, family: str) -> None:
    """A head dropped since config.json says that it is the embedding: other numbers altogether."""
    case = TIED[family]
    embedding, head = _names(case)

    def add(tensors: dict[str, torch.Tensor]) -> None:
        tensors[head] = tensors[embedding].clone()
        # One number of all, the last: no sample of them would find it.
        tensors[head][-1, -1] += 1

    directory = _changed(case, tmp_path / "m", add)
    described = describe(directory)
    assert not described.spec.tied and "differs" in described.notices[0].text
    found, kernels = _logits(load(directory)), _logits(open_runner(directory))
    _untied_config(directory)
    assert not describe(directory).notices and not describe(directory).said.tied
    assert np.array_equal(found, _logits(load(directory)))
    assert np.array_equal(kernels, _logits(open_runner(directory)))
    assert not np.array_equal(found, _logits(load(GOLDENS / case)))


@some_families
def test_a_copy_of_the_embedding_stays_tied(tmp_path: Path, family: str) -> None:
    """A model that takes more memory, or a warning, for a head that was stored twice."""
    case = TIED[family]
    embedding, head = _names(case)

    def add(tensors: dict[str, torch.Tensor]) -> None:
        tensors[head] = tensors[embedding].clone()

    described = describe(_changed(case, tmp_path / "m", add))
    assert described.spec.tied and not described.notices


def test_transformers_does_the_same(tmp_path: Path) -> None:
    """Our reading of tie_weights: both there and different, and one stored as the other."""
    from transformers import AutoModelForCausalLM

    case = TIED["llama"]
    embedding, head = _names(case)
    other = _changed(
        case, tmp_path / "other", lambda t: t.update({head: t[embedding].flip(0).contiguous()})
    )
    renamed = _changed(case, tmp_path / "renamed", lambda t: t.update({head: t.pop(embedding)}))
    for directory in (other, renamed):
        model = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32)
        assert (model.lm_head.weight is model.model.embed_tokens.weight) == (directory == renamed)
        with torch.inference_mode():
            wanted = model(torch.tensor(IDS)).logits[0, -1].numpy()
        assert np.allclose(_logits(load(directory))[0], wanted, atol=3e-5)


def test_a_quantised_head_beside_a_plain_embedding(tmp_path: Path) -> None:
    """A head in codes, dropped since it is no plain weight."""
    directory = tmp_path / "m"
    shutil.copytree(GOLDENS / TIED["llama"], directory)
    path = directory / "model.safetensors"
    head = {"lm_head.weight": torch.ones(61, 8, dtype=torch.uint32)}
    head |= {f"lm_head.{part}": torch.ones(61, 1) for part in ("scales", "biases")}
    save_file(load_file(path) | head, path)
    config = jsonfile.read(directory / "config.json")
    config["quantization"] = {"group_size": 32, "bits": 8}
    (directory / "config.json").write_text(json.dumps(config))
    described = describe(directory)
    assert not described.spec.tied and head.keys() < described.stored.tensors.keys()


def test_a_merged_model_says_that_it_is_not_tied(tmp_path: Path, drain) -> None:
    """An adapter merged into such a model, whose config.json still ties the two."""
    from gptcli.backends.local.merging import merge
    from gptcli.types.models import AdapterRef, ModelDir
    from tests.engine.weights import adapters

    case = TIED["llama"]
    embedding, head = _names(case)
    base = _changed(case, tmp_path / "m", lambda t: t.update({head: t[embedding] * 2}))
    added = (AdapterRef(adapters.make("grouped", tmp_path / "a")),)
    drain(merge(ModelDir("m", base, "m"), added, tmp_path / "out"))
    assert (
        json.loads((tmp_path / "out" / "config.json").read_text())["tie_word_embeddings"] is False
    )
    found = _logits(load(tmp_path / "out"))
    assert np.allclose(found, _logits(load(base, adapter=added)), atol=1e-6)
