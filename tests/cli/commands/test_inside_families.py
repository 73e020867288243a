"""A look inside every family, from the command line: tiny golden models that read letters."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from gptcli.engine.model.families import supported
from tests.cli.helpers import run
from tests.engine.helpers import GOLDENS
from tests.golden_cases import CASES
from tests.test_readme import write_tokenizer

pytestmark = pytest.mark.slow

FIRST = {CASES[name].kind: name for name in reversed(CASES)}
PROMPT = "The cat sat on"
#: Those between which all that a view tells apart is seen; the others are looked into at length.
_TOLD = {"bloom", "cohere2", "deepseek_v3", "falcon", "falcon_h1", "gemma2", "gemma4_text"}
_TOLD |= {"gpt2", "gpt_oss", "granite", "llama", "llama4_text", "nemotron_h", "olmo2", "qwen3_5"}
FAMILIES = [
    pytest.param(name, marks=() if name in _TOLD else pytest.mark.faults) for name in supported()
]


@pytest.fixture(scope="module", params=FAMILIES)
def model(request, tmp_path_factory) -> Path:
    """A model of each family, with a tokenizer of letters."""
    directory = tmp_path_factory.mktemp("family") / request.param
    ignored = shutil.ignore_patterns("golden.*")
    shutil.copytree(GOLDENS / FIRST[request.param], directory, ignore=ignored)
    write_tokenizer(directory / "tokenizer.json")
    return directory


def answer(command: str, model: Path, *argv: str) -> dict:
    done = run(command, "-m", str(model), "--dtype", "float32", "--json", *argv)
    assert done.code == 0, done.err
    return json.loads(done.text)


def test_the_walk_adds_up_and_ends_where_the_lens_does(model):
    """Catches an update before its norm or scale, and a read-out that is not the model's own:
    norms after blocks, blocks side by side, scales of embedding, residual and logits, soft-caps.
    """
    found = answer("explain", model, "--steps", "2", "--temp", "0", PROMPT)
    for each in found["rounds"]:
        assert each["sum_error"] < 1e-4
    lens = answer("lens", model, PROMPT)
    first, last = found["rounds"][0], lens["grid"][-1][-1]
    top = last["top"][0]
    assert first["drawn"]["id"] == top["id"] == first["blocks"][-1]["says"][0]["id"]
    assert first["drawn"]["probability"] == pytest.approx(top["probability"], abs=1e-5)
    layers = {block["layer"] for block in first["blocks"]}
    assert len(lens["grid"]) == lens["layers"] + 1 == len(layers) + 1


def test_attention_shares_itself_out(model):
    """Catches weights that are lost, but to a sink, and a look beyond the window."""
    found = answer("attention", model, PROMPT)
    for each in found["maps"]:
        window = found["windows"][each["layer"]]
        for query, row in enumerate(each["weights"]):
            total = sum(row)
            assert total == pytest.approx(1, abs=1e-5) or (found["sinks"] and 0 < total < 1)
            last = max(0, query - window + 1) if window else 0
            assert not any(row[:last]) and not any(row[query + 1 :])


def test_views_and_shapes(model):
    """Catches words that fail on what only some models have, and parameters left out."""
    for lang in ("en", "zh"):
        assert run("explain", "-m", str(model), "--lang", lang, PROMPT, terminal=True).code == 0
    found = answer("explain", model, "--shapes", PROMPT)
    assert sum(part["parameters"] for part in found["parts"]) == found["parameters"]
    assert run("attention", "-m", str(model), PROMPT, terminal=True).code == 0
    assert run("neighbors", "-m", str(model), "c", terminal=True).code == 0


def test_parts_of_a_logit_add_up(model):
    """Catches a family whose parts are told otherwise than its logit is made."""
    found = answer("lens", model, "--parts", "head", PROMPT)
    total = sum(each["adds"] for each in found["parts"])
    assert total == pytest.approx(found["logit"], abs=1e-5)
    (rounding,) = [each["adds"] for each in found["parts"] if each["part"] == "rounding"]
    assert abs(rounding) < 1e-4


def test_attention_is_weighed_by_values_or_refused(model):
    """Catches a row of lengths that are lost, and a gate that is passed over silently."""
    argv = ("--dtype", "float32", "--json", "--weigh", "values", PROMPT)
    done = run("attention", "-m", str(model), *argv)
    if done.code:
        assert done.code == 2 and "--weigh: values: a gate" in done.err
        return
    for each in json.loads(done.text)["maps"]:
        for row, total in zip(each["weights"], each["totals"], strict=True):
            assert sum(row) == pytest.approx(1, abs=1e-5) and total > 0
