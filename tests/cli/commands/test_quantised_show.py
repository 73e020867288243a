"""`gptcli models show` on a quantised model: what it is, and what it takes once it is read."""

from __future__ import annotations

import json

from tests.cli.helpers import run
from tests.engine.helpers import GOLDENS
from tests.engine.weights import packed
from tests.engine.weights.test_quantised import CASES


def test_a_quantised_model_is_described_as_it_runs(tmp_path):
    """Catches words and scales counted as weights, and memory told for the packed file."""
    pack, config = CASES["gptq"]
    packed.quantise("llama/untied", tmp_path / "m", pack, config)
    plain = json.loads(run("models", "show", "--json", str(GOLDENS / "llama/untied")).text)
    found = json.loads(run("models", "show", "--json", str(tmp_path / "m")).text)
    assert found["quantised"] == "gptq 4 bits, groups of 8" and "quantised" not in plain
    assert found["parameters"] == plain["parameters"]
    for name in ("dtype", "weights", "cache"):
        assert found["memory"][name] == plain["memory"][name]
    shown = run("models", "show", str(tmp_path / "m")).text
    assert "quantised\tgptq 4 bits, groups of 8\n" in shown


def test_a_format_that_is_not_read_does_not_run(tmp_path):
    """Catches memory told of a model that is refused when it is opened."""
    pack, config = CASES["gptq"]
    assert config is not None
    packed.quantise("llama/untied", tmp_path / "m", pack, config | {"bits": 3})
    shown = run("models", "show", str(tmp_path / "m")).text
    assert "runs\tno: " in shown and "'bits' is 3" in shown
