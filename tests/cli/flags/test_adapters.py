"""`--adapter` and `gptcli models merge`, on a tiny model and adapters of random numbers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from gptcli.cli.flags.completers import complete_adapter
from tests.cli.helpers import run
from tests.cli.test_bad_input import assert_one_line

PROMPT = "the cat sat"
#: The same weights at other addresses may be summed in another order.
TOLERANCE = 3e-5


def make_adapter(to: Path, *, seed: int, head: int | None = None) -> Path:
    """An adapter of the tiny model: queries and values, and with `head` rows its head."""
    generator = torch.Generator().manual_seed(seed)
    config: dict[str, Any] = {"peft_type": "LORA", "r": 2, "lora_alpha": 4}
    config["target_modules"] = ["q_proj", "v_proj"]
    tensors = {}
    for layer in range(2):
        for name, out in (("q_proj", 32), ("v_proj", 16)):
            key = f"base_model.model.model.layers.{layer}.self_attn.{name}"
            tensors[f"{key}.lora_A.weight"] = torch.randn(2, 32, generator=generator)
            tensors[f"{key}.lora_B.weight"] = torch.randn(out, 2, generator=generator)
    if head is not None:
        config["modules_to_save"] = ["lm_head"]
        weight = torch.randn(head, 32, generator=generator)
        tensors["base_model.model.lm_head.weight"] = weight
    to.mkdir(parents=True)
    (to / "adapter_config.json").write_text(json.dumps(config))
    save_file(tensors, to / "adapter_model.safetensors")
    return to


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    return make_adapter(tmp_path / "mine", seed=1)


def top(model: Path, *argv: str) -> dict[str, Any]:
    done = run("top-k", "-m", str(model), "--json", "-k", "287", *argv, PROMPT)
    assert done.code == 0, done.err
    found: dict[str, Any] = json.loads(done.text)
    return found


def logprobs(found: dict[str, Any]) -> torch.Tensor:
    by_id = {each["id"]: each["logprob"] for each in found["top_logprobs"]}
    return torch.tensor([by_id[token] for token in sorted(by_id)])


def close(a: dict[str, Any], b: dict[str, Any]) -> bool:
    return (logprobs(a) - logprobs(b)).abs().max().item() <= TOLERANCE


def test_an_adapter_changes_what_comes_and_apart_is_the_same(tiny_model, adapter):
    """Catches a flag that reaches no weights, or one of the two ways that differs."""
    plain, added = logprobs(top(tiny_model)), logprobs(top(tiny_model, "--adapter", str(adapter)))
    apart = logprobs(top(tiny_model, "--adapter", str(adapter), "--adapter-apart"))
    none = logprobs(top(tiny_model, "--adapter", f"{adapter}=0"))
    assert (plain - added).abs().max() > 0.1
    assert (apart - added).abs().max() <= TOLERANCE
    # Without an adapter the CPU kernels may compute, which round in another order.
    assert (plain - none).abs().max() <= TOLERANCE


@pytest.mark.parametrize(
    "argv",
    [
        ("complete", "--json", "-n", "2"),
        ("top-k", "--json"),
        ("top-k", "--json", "--steps", "2"),
        ("tree", "--json", "--depth", "1"),
        ("score", "--json"),
        ("choose", "--json", "--choice", " a", "--choice", " b"),
        ("chat", "--json", "-n", "2"),
        ("explain", "--json"),
        ("explain", "--json", "--shapes"),
        ("neighbors", "--json"),
        ("attention", "--json"),
        ("lens", "--json"),
        ("why", "--json"),
        ("ablate", "--json"),
    ],
)
def test_json_names_the_adapters(tiny_model, adapter, argv):
    """Catches numbers of which nobody can tell later how they came about."""
    flags = ("-m", str(tiny_model), "--adapter", str(adapter), "--adapter", f"{adapter}=0.5")
    done = run(*argv, *flags, PROMPT)
    assert done.code == 0, done.err
    assert json.loads(done.text)["adapters"] == [str(adapter), f"{adapter}=0.5"]
    assert "adapters" not in json.loads(run(*argv, "-m", str(tiny_model), PROMPT).text)


def test_dtypes_are_compared_with_the_adapter(tiny_model, adapter):
    """Catches an adapter that only one of two models has, and an error that names another flag."""
    flags = ("-q", "-m", str(tiny_model), "--adapter", str(adapter), "-p", PROMPT)
    found = json.loads(run("score", *flags, "--json", "--compare-dtype", "bfloat16,f32").text)
    rounded, same = found["dtypes"]
    assert found["adapters"] == [str(adapter)]
    assert 0 < rounded["kl_mean"] < 0.1 and same["kl_mean"] == 0
    alone = json.loads(run("score", *flags[1:], "--json", "--totals", "--dtype", "float32").text)
    assert found["perplexity"] == pytest.approx(alone["totals"]["perplexity"], rel=1e-5)
    done = run("score", *flags, "--compare-dtype", "int8")
    assert_one_line(done, 2, "--compare-dtype: int8 needs the CPU kernels", "adapters are added")


def test_stats_name_the_adapters(tiny_model, adapter):
    """Catches --stats that tell of another model than the one that ran."""
    done = run(
        "complete", "-m", str(tiny_model), "--adapter", str(adapter), "--stats", "-n", "2", PROMPT
    )
    assert f" + {adapter} (float32 on cpu)" in done.err


def test_the_other_model_of_a_comparison_has_no_adapters(tiny_model, adapter):
    """Catches an adapter put into a model that it was not made for."""
    found = top(tiny_model, "--adapter", str(adapter), "--compare-model", str(tiny_model))
    first, second = found["distributions"]
    assert first["adapters"] == [str(adapter)] and "adapters" not in second


def test_adapters_apart_are_the_first_models_alone(tiny_model, adapter):
    """Catches a comparison that fails when the first model has run, over a flag of that one."""
    flags = ("--adapter", str(adapter), "--adapter-apart", "--compare-model", str(tiny_model))
    first, second = top(tiny_model, *flags)["distributions"]
    assert first["adapters"] == [str(adapter)] and "adapters" not in second


def test_a_name_with_an_equals_sign(tiny_model, tmp_path):
    """Catches a directory that cannot be named, as its name looks like a scale."""
    odd = make_adapter(tmp_path / "a=2", seed=2)
    assert top(tiny_model, "--adapter", str(odd))["adapters"] == [str(odd)]
    assert top(tiny_model, "--adapter", f"{odd}=3")["adapters"] == [f"{odd}=3"]


@pytest.mark.parametrize(
    ("argv", "code", "words"),
    [
        (("--adapter", "{dir}=x"), 2, ("--adapter", "SCALE")),
        (("--adapter", "{dir}=nan"), 2, ("--adapter", "SCALE")),
        (("--adapter", "{dir}=inf"), 2, ("--adapter", "SCALE")),
        (("--adapter", "=1"), 2, ("--adapter",)),
        (("--adapter-apart",), 2, ("--adapter-apart", "needs --adapter")),
        (("--adapter", "x" * 5000), 3, ("cannot be read",)),
        (("--adapter", "nowhere"), 3, ("nowhere", "adapter_config.json")),
        (("--adapter", "{model}"), 3, ("adapter_config.json",)),
        (("--adapter", "{big}"), 3, ("lm_head", "[301, 32]", "vocabulary")),
    ],
)
def test_adapters_that_cannot_be(tiny_model, adapter, tmp_path, argv, code, words):
    """Catches a traceback, or a flag that is dropped."""
    big = make_adapter(tmp_path / "big", seed=3, head=301)
    filled = [each.format(dir=adapter, model=tiny_model, big=big) for each in argv]
    done = run("complete", "-m", str(tiny_model), *filled, "-n", "2", PROMPT)
    assert_one_line(done, code, *words)


def test_completion_offers_directories(tmp_path, adapter, monkeypatch):
    """Catches files among the offers, and a way into a directory that cannot be typed on."""
    (tmp_path / "more" / "inner").mkdir(parents=True)
    (tmp_path / "mist").write_text("")
    (tmp_path / ".hidden").mkdir()
    monkeypatch.chdir(tmp_path)
    assert complete_adapter("m") == ["mine", "more/"]
    assert complete_adapter(f"{tmp_path}/mo") == [f"{tmp_path}/more/"]
    assert complete_adapter("more/") == ["more/inner/"]
    assert complete_adapter("") == ["mine", "more/"]
    assert complete_adapter("nowhere/x") == []


def merged(model: Path, to: Path, *argv: str) -> Path:
    done = run("models", "merge", str(model), "-o", str(to), *argv)
    assert done.code == 0, done.err
    assert done.out == b"" and str(to) in done.err
    return to


def test_a_merged_model_is_the_model_with_the_adapters(tiny_model, adapter, tmp_path):
    """Catches weights that are lost, renamed or rounded, and a tokenizer left behind."""
    other = make_adapter(tmp_path / "other", seed=4)
    flags = ("--adapter", str(adapter), "--adapter", f"{other}=0.5")
    to = merged(tiny_model, tmp_path / "m", *flags)
    assert close(top(to), top(tiny_model, *flags))
    assert run("models", "verify", str(to)).code == 0
    assert json.loads((to / "config.json").read_text()) == json.loads(
        (tiny_model / "config.json").read_text()
    )
    before, after = (load_file(d / "model.safetensors") for d in (tiny_model, to))
    assert before.keys() == after.keys()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {
        f"model.layers.{i}.self_attn.{name}_proj.weight" for i in range(2) for name in "qv"
    }
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_a_head_that_was_tied_gets_weights_of_its_own(tiny_model, tmp_path):
    """Catches a config that ties again what an adapter made two of."""
    vocabulary = json.loads((tiny_model / "config.json").read_text())["vocab_size"]
    head = make_adapter(tmp_path / "head", seed=5, head=vocabulary)
    to = merged(tiny_model, tmp_path / "m", "--adapter", str(head))
    assert json.loads((to / "config.json").read_text())["tie_word_embeddings"] is False
    assert "lm_head.weight" in load_file(to / "model.safetensors")
    assert close(top(to), top(tiny_model, "--adapter", str(head)))


def test_a_merged_model_in_another_dtype(tiny_model, adapter, tmp_path):
    """Catches --dtype that is dropped, and bfloat16 written as other numbers."""
    flags = ("--adapter", str(adapter))
    exact = load_file(merged(tiny_model, tmp_path / "a", *flags) / "model.safetensors")
    short = load_file(
        merged(tiny_model, tmp_path / "b", *flags, "--dtype", "bf16") / "model.safetensors"
    )
    assert exact.keys() == short.keys()
    for name, tensor in exact.items():
        assert torch.equal(tensor.bfloat16(), short[name])


def test_merging_what_cannot_be_merged(tiny_model, adapter, tmp_path):
    """Catches a directory that is written over, and half a model that stays."""
    there = tmp_path / "there"
    there.mkdir()
    model = str(tiny_model)
    flags = ("models", "merge", model, "--adapter", str(adapter), "-o")
    assert_one_line(run(*flags, str(there)), 2, "--output", "there already")
    assert_one_line(run("models", "merge", model, "-o", str(tmp_path / "x")), 2, "--adapter")
    assert_one_line(run(*flags, str(tmp_path / "no" / "x")), 6, "no")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine", "there"]


def test_large_models_are_written_as_shards(tiny_model, adapter, tmp_path):
    """Catches shards that overlap, an index that lies, and a tensor that is in none."""
    from gptcli.backends.local.merging import merge
    from gptcli.models import find
    from gptcli.types.models import AdapterRef

    model = find(str(tiny_model))
    assert model is not None
    steps = list(merge(model, [AdapterRef(adapter)], tmp_path / "m", shard_bytes=20_000))
    assert steps[-1].done == steps[-1].total
    whole = merged(tiny_model, tmp_path / "w", "--adapter", str(adapter))
    expected = load_file(whole / "model.safetensors")
    index = json.loads((tmp_path / "m" / "model.safetensors.index.json").read_text())
    assert index["metadata"]["total_size"] == sum(t.nbytes for t in expected.values())
    found: dict[str, torch.Tensor] = {}
    for file in sorted((tmp_path / "m").glob("model-*-of-*.safetensors")):
        tensors = load_file(file)
        assert all(index["weight_map"][name] == file.name for name in tensors)
        assert len(tensors) == 1 or sum(t.nbytes for t in tensors.values()) <= 20_000
        found |= tensors
    assert found.keys() == expected.keys() == index["weight_map"].keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    assert run("models", "verify", str(tmp_path / "m")).code == 0
    assert close(top(tmp_path / "m"), top(whole))


def test_a_look_inside_sees_the_adapter(tiny_model, adapter):
    """Catches a walk through the bare model, and parameters of adapters that are not counted."""
    flags = ("-m", str(tiny_model), "--seed", "1", "--json", PROMPT)
    every = {
        ways: json.loads(run("explain", *ways, *flags).text)["rounds"][0]
        for ways in (
            (),
            ("--adapter", str(adapter)),
            ("--adapter", str(adapter), "--adapter-apart"),
        )
    }
    plain, added, apart = every.values()
    assert abs(plain["blocks"][0]["norm"] - added["blocks"][0]["norm"]) > 1e-3
    for one, other in zip(added["blocks"], apart["blocks"], strict=True):
        assert one["norm"] == pytest.approx(other["norm"], rel=1e-4)
    shapes = ("explain", "--shapes", "--adapter", str(adapter), "--adapter-apart", *flags)
    found = json.loads(run(*shapes).text)
    assert sum(part["parameters"] for part in found["parts"]) == found["parameters"]
    bare = json.loads(run("explain", "--shapes", *flags).text)
    assert found["parameters"] > bare["parameters"]
