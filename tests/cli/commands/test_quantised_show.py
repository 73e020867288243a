"""`gptcli models show` on a quantised model: what it is, and what it takes once it is read."""

from __future__ import annotations

import json

from tests.cli.helpers import run
from tests.engine.helpers import GOLDENS
from tests.engine.weights import packed
from tests.engine.weights.test_quantised import CASES


def test_a_quantised_model_is_described_as_it_runs(tmp_path):
    """Catches words and scales counted as weights, and memory told for what nobody makes."""
    pack, config = CASES["gptq-one-group"]
    packed.quantise("llama/untied", tmp_path / "m", pack, config)
    plain = json.loads(run("models", "show", "--json", str(GOLDENS / "llama/untied")).text)
    found = json.loads(run("models", "show", "--json", str(tmp_path / "m")).text)
    assert found["quantised"] == "gptq 4 bits" and "quantised" not in plain
    assert found["parameters"] == plain["parameters"]
    assert found["memory"]["dtype"] == "affine4_64+float32"
    assert "dequantised" not in found["memory"]
    shown = run("models", "show", str(tmp_path / "m")).text
    assert "quantised\tgptq 4 bits\n" in shown
    assert "dequantised\tnothing: all runs as it is stored\n" in shown


def test_what_is_dequantised_is_told_with_its_cost(tmp_path):
    """Catches memory that is asked for and not told of: groups of 8 are none of the kernels'."""
    pack, config = CASES["gptq"]
    packed.quantise("llama/untied", tmp_path / "m", pack, config)
    memory = json.loads(run("models", "show", "--json", str(tmp_path / "m")).text)["memory"]
    # 2 · (4 · 24 · 24 + 3 · 24 · 40) numbers, whose scales are float16.
    assert memory["dtype"] == "float16+float32"
    assert memory["dequantised"]["matrices"] == 14
    assert memory["dequantised"]["weights"] == 2 * 2 * (4 * 24 * 24 + 3 * 24 * 40)
    assert 0 < memory["dequantised"]["stored"] < memory["dequantised"]["weights"]
    shown = run("models", "show", str(tmp_path / "m")).text
    assert "dequantised\t14 matrices: 21 kB in place of " in shown
    asked = run("models", "show", "--dtype", "bfloat16", str(tmp_path / "m")).text
    assert "dequantised\tall: " in asked and "of weights in bfloat16" in asked


def test_a_format_that_is_not_read_does_not_run(tmp_path):
    """Catches memory told of a model that is refused when it is opened."""
    pack, config = CASES["gptq"]
    assert config is not None
    packed.quantise("llama/untied", tmp_path / "m", pack, config | {"bits": 3})
    shown = run("models", "show", str(tmp_path / "m")).text
    assert "runs\tno: " in shown and "'bits' is 3" in shown
