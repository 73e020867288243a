"""Adapters: added to the weights and kept beside them, against transformers and PEFT."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from gptcli.engine.torch.adapters import Adapted
from gptcli.errors import ModelError
from gptcli.types.models import AdapterRef
from tests.engine.helpers import GOLDENS, rows_of, whole
from tests.engine.weights import adapters, packed
from tests.engine.weights.test_quantised import CASES
from tests.opening import load, plan

pytestmark = pytest.mark.slow

pytest.importorskip("peft")
TOLERANCE = 3e-5


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Adapters by name, each made once."""
    found: dict[str, Path] = {}

    def get(name: str) -> Path:
        if name not in found:
            found[name] = adapters.make(name, tmp_path_factory.mktemp("adapter") / name)
        return found[name]

    return get


def logits(
    directory: Path, case: str, *refs: AdapterRef, apart: bool = False, dtype: str = "float32"
) -> torch.Tensor:
    runner = load(directory, device="cpu", dtype=dtype, adapter=tuple(refs), adapter_apart=apart)
    return torch.stack([runner.all_logits(row, runner.new_state()) for row in rows_of(case)])


def apart_by(a: torch.Tensor, b: torch.Tensor) -> float:
    return (a - b).abs().max().item()


@pytest.mark.parametrize("name", adapters.ADAPTERS)
def test_merged_and_apart_equal_peft(made, name):
    """Catches a wrong scale, rank, side or module, and merging that is not the same as adding."""
    case, _ = adapters.ADAPTERS[name]
    theirs = adapters.logits_of_peft(case, made(name))
    assert apart_by(theirs, torch.stack(whole(case))) > 0.1, "an adapter that changes nothing"
    ref = AdapterRef(made(name))
    assert apart_by(logits(GOLDENS / case, case, ref), theirs) <= TOLERANCE
    assert apart_by(logits(GOLDENS / case, case, ref, apart=True), theirs) <= TOLERANCE


@pytest.mark.parametrize("apart", [False, True])
def test_several_adapters_add_up(made, apart):
    """Catches an adapter that takes the place of the one before it."""
    names = ("plain", "rslora", "regex")
    theirs = adapters.logits_of_peft("llama/untied", *map(made, names))
    refs = [AdapterRef(made(name)) for name in names]
    ours = logits(GOLDENS / "llama/untied", "llama/untied", *refs, apart=apart)
    assert apart_by(ours, theirs) <= TOLERANCE


@pytest.mark.parametrize("apart", [False, True])
def test_scale_is_that_of_the_updates(made, apart):
    """Catches a scale that is lost, or applied twice: half and half is whole, none is nothing."""
    case, directory = "llama/untied", GOLDENS / "llama/untied"
    half, none = AdapterRef(made("plain"), 0.5), AdapterRef(made("plain"), 0.0)
    theirs = adapters.logits_of_peft(case, made("plain"))
    twice = logits(directory, case, half, half, apart=apart)
    assert apart_by(twice, theirs) <= TOLERANCE
    assert apart_by(logits(directory, case, half, apart=apart), theirs) > 0.01
    assert torch.equal(logits(directory, case, none, apart=apart), torch.stack(whole(case)))


def test_apart_leaves_the_weights_alone(made):
    """Catches `apart` that merges all the same: the layers' own weights are the file's."""
    case = "llama/untied"
    ref = AdapterRef(made("plain"))
    runner = load(GOLDENS / case, device="cpu", dtype="float32", adapter=(ref,), adapter_apart=True)
    plain = load(GOLDENS / case, device="cpu", dtype="float32")
    for ours, theirs in zip(runner.decoder.layers, plain.decoder.layers, strict=True):
        assert isinstance(ours.attention.query, Adapted)
        assert not isinstance(ours.attention.key, Adapted)
        assert torch.equal(ours.attention.query.layer.weight, theirs.attention.query.weight)


def test_merged_in_float32_before_the_cast(made, tmp_path):
    """Catches a sum rounded twice: to the base's bfloat16, then to what is computed in."""
    case = "llama/untied"
    stored = load_file(GOLDENS / case / "model.safetensors")
    rounded = {name: tensor.bfloat16() for name, tensor in stored.items()}
    packed.plain(case, tmp_path / "m", rounded)
    exact = logits(tmp_path / "m", case, AdapterRef(made("plain")))
    packed.rewrite(tmp_path / "m", lambda t: t.update({n: x.bfloat16() for n, x in t.items()}))
    assert plan(tmp_path / "m", [AdapterRef(made("plain"))]).source.dtype == torch.bfloat16
    assert torch.equal(logits(tmp_path / "m", case, AdapterRef(made("plain"))), exact)


@pytest.mark.parametrize("apart", [False, True])
def test_an_adapter_on_quantised_weights(made, tmp_path, apart):
    """Catches an adapter that knows plain files only."""
    pack, config = CASES["gptq"]
    meaning = packed.quantise("llama/untied", tmp_path / "m", pack, config)
    packed.plain("llama/untied", tmp_path / "plain", meaning)
    ref = AdapterRef(made("plain"))
    ours = logits(tmp_path / "m", "llama/untied", ref, apart=apart)
    assert apart_by(ours, logits(tmp_path / "plain", "llama/untied", ref)) <= TOLERANCE


KEY = "base_model.model.model.layers.0.self_attn.q_proj"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda c: c.update(peft_type="IA3"), ("'peft_type'", "IA3", "LORA")),
        (lambda c: c.pop("peft_type"), ("'peft_type'", "missing")),
        (lambda c: c.update(use_dora=True), ("'use_dora'", "true")),
        (lambda c: c.update(lora_bias=True), ("'lora_bias'", "true")),
        (lambda c: c.update(target_parameters=["x"]), ("'target_parameters'",)),
        (lambda c: c.update(trainable_token_indices=[1]), ("'trainable_token_indices'",)),
        (lambda c: c.update(megatron_config={"a": 1}), ("'megatron_config'",)),
        (lambda c: c.update(layer_replication=[[0, 1]]), ("'layer_replication'",)),
        (lambda c: c.update(use_qalora=True), ("'use_qalora'",)),
        (lambda c: c.update(alora_invocation_tokens=[3]), ("'alora_invocation_tokens'",)),
        (lambda c: c.update(init_lora_weights="pissa"), ("'init_lora_weights'", "pissa")),
        (lambda c: c.update(init_lora_weights="olora"), ("'init_lora_weights'", "olora")),
        (lambda c: c.update(loftq_config={"loftq_bits": 4}), ("'loftq_config'",)),
        (lambda c: c.update(novelty=1), ("'novelty'", "does not know")),
        (lambda c: c.update(task_type="SEQ_CLS"), ("'task_type'", "SEQ_CLS")),
        (lambda c: c.update(bias="some"), ("'bias'", "some")),
        (lambda c: c.update(r=0), ("'r'", "0")),
        (lambda c: c.update(r=5), ("rank 5", "[4, 24]")),
        (lambda c: c.update(lora_alpha=-1), ("'lora_alpha'", "-1")),
        (lambda c: c.update(target_modules=[*adapters.Q_V, "k_proj"]), ("k_proj", "its config")),
        (lambda c: c.update(target_modules="(x)\\1"), ("'target_modules'", "not supported")),
        (lambda c: c.update(target_modules="(x"), ("'target_modules'", "broken")),
        (lambda c: c.update(target_modules=3), ("'target_modules'", "3")),
        (lambda c: c.update(layers_to_transform=["0"]), ("'layers_to_transform'",)),
        (lambda c: c.update(modules_to_save=["norm"]), ("does not hold", "norm")),
        (lambda c: c.update(rank_pattern={"q_proj": "x"}), ("rank_pattern", "q_proj")),
    ],
)
def test_configs_that_are_refused_by_name(made, tmp_path, change, words):
    """Catches a kind of adapter that is half understood, and so half applied."""
    adapters.make("plain", tmp_path / "a")
    adapters.reconfigure(tmp_path / "a", change)
    refused(tmp_path / "a", *words)


def refused(adapter: Path, *words: str, case: str = "llama/untied") -> None:
    with pytest.raises(ModelError) as caught:
        plan(GOLDENS / case, [AdapterRef(adapter)])
    line = str(caught.value)
    assert str(adapter) in line and "\n" not in line and len(line) < 500
    for word in words:
        assert word in line


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t.pop(f"{KEY}.lora_B.weight"), ("q_proj", "has no lora_B")),
        (
            lambda t: [t.pop(f"{KEY}.lora_{side}.weight") for side in "AB"],
            ("no update", "layers.0.self_attn.q_proj"),
        ),
        (
            lambda t: t.update({f"{KEY}.lora_A.weight": torch.ones(4, 25)}),
            ("[24, 25]", "[24, 24]", "q_proj"),
        ),
        (lambda t: t.update({f"{KEY}.lora_A.weight": torch.ones(4)}), ("[4]", "rank 4")),
        (lambda t: t.update({f"{KEY}.lora_C.weight": torch.ones(4)}), ("lora_C", "not know")),
        (
            lambda t: t.update({f"{KEY}.lora_magnitude_vector": torch.ones(4)}),
            ("lora_magnitude_vector", "not know"),
        ),
        (lambda t: t.update({f"{KEY}.bias": torch.ones(24)}), ("q_proj.bias", "does not have")),
        (
            lambda t: t.update({f"{KEY}.weight": torch.ones(24, 24)}),
            ("q_proj.weight", "does not tell"),
        ),
        (lambda t: t.update({"model.x.lora_A.weight": torch.ones(4)}), ("model.x", "PEFT")),
        (
            lambda t: t.update({f"{KEY}.lora_A.weight": torch.ones(4, 24, dtype=torch.int8)}),
            ("lora_A", "F32"),
        ),
        (
            lambda t: t.update({"base_model.model.lm_head.weight": torch.ones(64, 24)}),
            ("lm_head", "[64, 24]", "vocabulary"),
        ),
    ],
)
def test_tensors_that_do_not_fit(tmp_path, change, words):
    """Catches an update that is left out, left over or added to something else."""
    adapters.make("plain", tmp_path / "a")
    adapters.rewrite(tmp_path / "a", change)
    refused(tmp_path / "a", *words)


def test_an_adapter_of_another_model(made):
    """Catches a traceback, or a sum of matrices that broadcast, where the shapes differ."""
    refused(made("fused"), "transformer.h.0.attn.c_attn", "does not have")
    refused(made("plain"), "v_proj", "[24, 24]", "[8, 24]", case="llama/tied")


def test_two_adapters_that_store_the_same_module(made):
    """Catches a choice between two heads that nobody knows of."""
    refs = [AdapterRef(made("saved-head")), AdapterRef(made("saved-head"))]
    with pytest.raises(ModelError, match=r"lm_head\.weight, which .* holds as well"):
        plan(GOLDENS / "llama/untied", refs)


@pytest.mark.parametrize("name", ["adapter_model.bin", None])
def test_directories_that_are_no_adapters(tmp_path, name):
    """Catches a pickle that is opened, and a directory taken for something else."""
    directory = tmp_path / "a"
    directory.mkdir()
    refused(directory, "adapter_config.json")
    adapters.make("plain", directory)
    (directory / "adapter_model.safetensors").unlink()
    if name:
        (directory / name).write_bytes(b"cos\nsystem\n(S'exit 3'\ntR.")
        refused(directory, name, "pickle")
    else:
        refused(directory, "adapter_model.safetensors")
