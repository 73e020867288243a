"""Our logits against transformers', on tiny random checkpoints made by tests/make_goldens.py."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from gptcli.engine.model.families import DIFFERENCES, supported
from tests.engine.helpers import (
    CASES,
    GOLDENS,
    SPECS,
    STORED,
    WAYS,
    copy_case,
    difference,
    few_of,
    golden_of,
)
from tests.engine.mechanisms import mechanisms
from tests.golden_cases import CASES as MADE
from tests.opening import load
from tests.sweeps import in_turn

TOLERANCE = 3e-5


def test_there_are_goldens():
    """Catches a glob that finds nothing, with which every test below would pass, and a family
    that nothing proves.
    """
    assert sorted(MADE) == CASES
    assert {case.kind for case in MADE.values()} == set(supported())


def test_goldens_stay_small():
    """Catches a case of a size that nobody wants to clone."""
    sizes = [path.stat().st_size for path in GOLDENS.rglob("*")]
    assert sum(sizes) < 12 << 20 and max(sizes) < 128 << 10


def test_a_few_cases_have_every_mechanism():
    """Catches a mechanism that only a case has which the invariants leave out, and a cover that
    has become no smaller than what it covers.
    """
    every = {mechanism for spec in SPECS.values() for mechanism in mechanisms(spec)}
    assert every == {mechanism for case in WAYS for mechanism in mechanisms(SPECS[case])}
    assert 3 * len(WAYS) < len(CASES)


@pytest.mark.parametrize("family", supported())
def test_all_positions_equal_transformers(family):
    """Catches any slip in the maths or in the mapping of weights, and a difference that grew since
    it was written down for `gptcli models families`.

    Another machine adds up in another order, so a few times as much is no other maths.
    """
    measured = {case: difference(case) for case, made in MADE.items() if made.kind == family}
    assert max(measured.values()) <= TOLERANCE, measured
    told = json.loads(DIFFERENCES.read_text())[family]
    assert 0 <= told <= TOLERANCE
    assert max(measured.values()) <= 4 * told + 1e-6, measured


@pytest.mark.parametrize("case", [name for name, case in MADE.items() if case.short])
def test_short_texts_equal_transformers_where_the_length_matters(case):
    """Catches frequencies of long texts where a short context is in use: dynamic NTK, LongRoPE."""
    assert difference(case, short=True) <= TOLERANCE
    long = load(GOLDENS / case, device="cpu", dtype="float32")
    short = golden_of(case)["short_logits"]
    ids = golden_of(case)["ids"][0, : short.size(1)].tolist()
    apart = long.all_logits(ids, long.new_state()) - short[0]
    assert apart.abs().max() > 0.1


@pytest.mark.parametrize("case", [name for name in CASES if "bfloat16_logits" in golden_of(name)])
def test_bfloat16_is_as_near_to_transformers_as_bfloat16_to_float32(case):
    """Catches roundings in another order, whose errors would not go the same way.

    Two computations whose roundings have nothing in common differ by the root of the sum of their
    squared errors, so by more than either is from float32.
    """
    golden = golden_of(case)
    runner = load(GOLDENS / case, device="cpu", dtype="bfloat16")
    rows = [runner.all_logits(row, runner.new_state()) for row in golden["ids"].tolist()]
    ours, theirs, exact = torch.stack(rows), golden["bfloat16_logits"].float(), golden["logits"]

    def apart(one: torch.Tensor, other: torch.Tensor) -> float:
        return (one - other).square().mean().sqrt().item()

    alone = (apart(ours, exact) ** 2 + apart(theirs, exact) ** 2) ** 0.5
    assert apart(ours, theirs) < alone
    assert apart(ours, theirs) < 1.1 * apart(theirs, exact)


@in_turn("case", CASES)
def test_golden_logits_are_not_trivial(case):
    """Catches goldens so flat that a wrong model would be within the tolerance."""
    ids, logits = golden_of(case)["ids"], golden_of(case)["logits"]
    assert logits.std() > 0.5
    # The same token twice may well predict nearly the same.
    other = ids[:, 1:] != ids[:, :-1]
    assert (logits[:, 1:] - logits[:, :-1]).abs().amax(-1)[other].min() > 0.1


@few_of(CASES, STORED)
def test_shards_make_the_same_model(case, tmp_path):
    """Catches a rule that looks for its tensors in one file only: stacks, heads, experts, halves
    of packed numbers.
    """
    directory = copy_case(case, tmp_path / "m")
    tensors, names = {}, {}
    for file in directory.glob("*.safetensors"):
        tensors |= load_file(file)
        file.unlink()
    for number, name in enumerate(sorted(tensors)):
        shard = f"model-{number % 5:05}-of-00005.safetensors"
        names[name] = shard
    for shard in set(names.values()):
        save_file({n: t for n, t in tensors.items() if names[n] == shard}, directory / shard)
    index = {"metadata": {}, "weight_map": names}
    (directory / "model.safetensors.index.json").write_text(json.dumps(index))
    sharded = load(directory, device="cpu", dtype="float32")
    whole = load(GOLDENS / case, device="cpu", dtype="float32")
    # Not their logits: sums of numbers that begin at other addresses are rounded in another order.
    found, wanted = (dict(each.decoder.named_parameters()) for each in (sharded, whole))
    assert found.keys() == wanted.keys()
    assert all(torch.equal(found[name], wanted[name]) for name in wanted)


def test_rope_fields_of_older_configs_mean_the_same(tmp_path):
    """Catches reading only one of the two places where configs keep rope scaling."""
    for case in ("llama/llama3", "llama/linear"):
        source = GOLDENS / case
        config = json.loads((source / "config.json").read_text())
        rope = config.pop("rope_parameters")
        config["rope_theta"] = rope.pop("rope_theta")
        rope["type"] = rope.pop("rope_type")
        config["rope_scaling"] = rope
        directory = tmp_path / case
        directory.mkdir(parents=True)
        (directory / "config.json").write_text(json.dumps(config))
        (directory / "model.safetensors").symlink_to(source / "model.safetensors")
        runner = load(directory, device="cpu", dtype="float32")
        golden = load_file(source / "golden.safetensors")
        ours = runner.all_logits(golden["ids"][0].tolist(), runner.new_state())
        assert (ours - golden["logits"][0]).abs().max().item() <= TOLERANCE


def test_names_without_prefix_and_ignored_tensors(tmp_path):
    """Catches refusing the first GPT-2 checkpoints: no `transformer.`, masks stored as tensors."""
    source = GOLDENS / "gpt2/tied"
    tensors = load_file(source / "model.safetensors")
    renamed = {name.removeprefix("transformer."): t for name, t in tensors.items()}
    renamed["h.0.attn.bias"] = torch.ones(1, 1, 48, 48, dtype=torch.uint8)
    renamed["h.1.attn.masked_bias"] = torch.tensor(-1e4)
    renamed["lm_head.weight"] = renamed["wte.weight"].clone()
    save_file(renamed, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_bytes((source / "config.json").read_bytes())
    runner = load(tmp_path, device="cpu", dtype="float32")
    golden = load_file(source / "golden.safetensors")
    ours = runner.all_logits(golden["ids"][0].tolist(), runner.new_state())
    assert (ours - golden["logits"][0]).abs().max().item() <= TOLERANCE
