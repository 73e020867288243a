"""`gptcli models show` and `models families`, and a machine that is too small."""

from __future__ import annotations

import json
import shutil
import sys

import pytest
import torch
from safetensors.torch import load_file, save_file

from gptcli.engine.cpu.binding.coverage import covers
from gptcli.engine.describe import describe
from gptcli.engine.host import memory
from gptcli.engine.model.families import SCALINGS, listing, supported
from gptcli.engine.model.mixers import state_numbers
from gptcli.units import size
from tests.cli.helpers import run
from tests.cli.test_bad_input import assert_one_line
from tests.engine.helpers import CASES, GOLDENS, WAYS, copy_case, runner_of
from tests.models import gguf_export
from tests.models.test_gguf_families import imported
from tests.models.test_gguf_goldens import add_tokenizer
from tests.ui.screens import assert_unbroken


def rows_of(text: str) -> dict[str, str]:
    return dict(line.split("\t", 1) for line in text.splitlines())


@pytest.mark.parametrize("case", WAYS)
def test_bytes_that_are_told_are_those_that_are_taken(case):
    """Catches numbers that headers alone do not tell: packed ones, vision, a spare head."""
    runner = runner_of(case)
    # By itself, what is packed stays so.
    asked = ["--dtype", "float32"] if "mxfp4" in case else []
    done = run("models", "show", str(GOLDENS / case), "--json", "--ctx-size", "30", *asked)
    assert done.code == 0, done.err
    found = json.loads(done.text)
    parameters = list(runner.decoder.parameters())
    assert found["memory"]["dtype"] == "float32" and found["memory"]["context"] == 30
    # OPT's file has two rows of positions that are not used.
    spare = 2 * runner.spec.width if case.startswith("opt/") else 0
    assert found["memory"]["weights"] == sum(p.nbytes for p in parameters) + 4 * spare
    assert found["parameters"] == sum(p.numel() for p in parameters) + spare
    cache = runner.new_state()
    cache.limit = 30
    cache.reserve([30])
    assert found["memory"]["cache"] + found["memory"]["state"] == cache.bytes
    spec = runner.spec
    assert found["memory"]["cache_per_token"] * 30 == found["memory"]["cache"]
    assert bool(found["memory"]["state"]) == bool(spec.carrying)
    kinds = len(spec.attending), len(spec.carrying)
    told = found.get("layers_with_attention", spec.layers), found.get("layers_with_state", 0)
    assert told == kinds
    for name, value in (
        ("layers", runner.spec.layers),
        ("heads", runner.spec.heads),
        ("kv_heads", runner.spec.kv_heads),
        ("width", runner.spec.width),
        ("context", runner.spec.context),
        ("vocabulary", runner.spec.vocab),
    ):
        assert found[name] == value


def test_show_obeys_the_environment(monkeypatch):
    """Catches memory told for another dtype and context than every other command runs with."""
    monkeypatch.setenv("GPTCLI_DTYPE", "bfloat16")
    monkeypatch.setenv("GPTCLI_CTX_SIZE", "20")
    command = ("models", "show", str(GOLDENS / "llama/tied"), "--json")
    found = json.loads(run(*command).text)["memory"]
    assert (found["dtype"], found["context"]) == ("bfloat16", 20)
    found = json.loads(run(*command, "--dtype", "float32").text)["memory"]
    assert (found["dtype"], found["context"]) == ("float32", 20)


def test_show_tells_memory_in_the_dtype_that_is_asked_for():
    """Catches a dtype or a context that is read and not used."""
    done = run("models", "show", str(GOLDENS / "llama/tied"), "--dtype", "bfloat16")
    rows = rows_of(done.text)
    weights = "21 kB of weights in bfloat16"
    assert rows["memory"] == f"24 kB: {weights}, 3.1 kB of KV cache for 48 tokens"
    assert rows["context"] == "48 tokens"
    assert rows["to compute"].endswith(" kB more")
    if sys.platform == "linux":
        assert rows["free"].endswith(" of main memory")
    short = run("models", "show", str(GOLDENS / "llama/tied"), "--ctx-size", "49")
    assert_one_line(short, 2, "--ctx-size: 49", "48")


def test_show_says_why_a_model_does_not_run(tmp_path):
    """Catches facts that are withheld because the engine lacks something."""
    directory = tmp_path / "m"
    shutil.copytree(GOLDENS / "llama/tied", directory)
    config = json.loads((directory / "config.json").read_text())
    (directory / "config.json").write_text(json.dumps(config | {"model_type": "mamba9"}))
    done = run("models", "show", str(directory))
    rows = rows_of(done.text)
    assert done.code == 0 and rows["layers"] == "2" and "memory" not in rows
    assert rows["runs"].startswith("no: ") and "mamba9" in rows["runs"]
    found = json.loads(run("models", "show", str(directory), "--json").text)
    assert found["memory"] is None and found["family"] == "mamba9"


def test_show_tells_what_is_left_out():
    """Catches a model that sees, of which only the text runs, and nobody says so."""
    seeing = GOLDENS / "qwen3_vl/vision"
    rows = rows_of(run("models", "show", str(seeing)).text)
    assert rows["left out"] == "what sees images (27 tensors, 15 kB)"
    (found,) = json.loads(run("models", "show", str(seeing), "--json").text)["left_out"]
    assert found == {"what": "what sees images", "tensors": 27, "bytes": 15392}
    plain = run("models", "show", str(GOLDENS / "llama/tied"))
    assert "left out" not in rows_of(plain.text)


def test_show_tells_of_what_guesses_further_tokens(tmp_path):
    """Catches a layer behind the last that stops a model from running, or that nobody hears of."""
    model = copy_case("glm4_moe/dense_first", tmp_path / "m")
    file = model / "model.safetensors"
    further = {"model.layers.3.eh_proj.weight": torch.zeros(16, 32)}
    save_file(load_file(file) | further, file)
    shown = rows_of(run("models", "show", str(model)).text)
    assert shown["left out"] == "what guesses more than the next token (1 tensors, 2.0 kB)"


def test_families_are_listed(monkeypatch):
    """Catches a family that no user hears of, or a page without its figures."""
    rows = [line.split("\t") for line in run("models", "families").text.splitlines()]
    assert [row[0] for row in rows] == supported()
    assert all(0 < float(row[1]) <= 3e-5 and len(row[2]) > 5 for row in rows)
    by_name = {row[0]: row for row in rows}
    assert "text only" in by_name["gemma3"][2]
    both = "what guesses more than the next token, what sees images"
    assert by_name["qwen3_5"][3:] == ["kernels, torch", both]
    assert by_name["gpt2"][3:] == ["kernels, torch", ""]
    found = json.loads(run("models", "families", "--json").text)
    assert [each["name"] for each in found["families"]] == supported()
    assert found["rope_scalings"] == list(SCALINGS)
    assert {each["name"]: each["left_out"] for each in found["families"]}["gemma3"] == [
        "what sees images"
    ]
    for columns in (50, 60, 200):
        monkeypatch.setenv("COLUMNS", str(columns))
        text = run("models", "families", terminal=True).text
        assert_unbroken(text, columns)
        shown = " ".join(text.split())
        assert "BLOOMZ" in shown and "kernels" in shown
        if columns == 200:
            assert "which transformers rounds" in shown
            assert f"dense: text only; left out: {both}" in shown


def test_what_runs_a_family_is_true():
    """Catches kernels that are said to run what they do not, and the other way round; and parts
    of checkpoints that are left out without a word."""
    known = {each.name: each for each in listing()}
    for case in CASES:
        facts = known[case.split("/")[0]]
        model = describe(GOLDENS / case)
        assert (covers(model.spec) is None) == ("kernels" in facts.runs), case
        beside = model.family.rules(model.spec).beside
        assert tuple(each.what for each in beside) == facts.left_out, case


@pytest.mark.parametrize("case", ["qwen3_5_text/plain", "lfm2/plain"])
def test_layers_with_states_are_told_of(case, tmp_path):
    """Catches states that are called a KV cache, and GGUF files, which tell of such layers by
    lists, of which less is told."""
    gguf_export.export(GOLDENS / case, tmp_path / "m.gguf", add_tokenizer)
    for path in (GOLDENS / case, imported(tmp_path / "m.gguf", tmp_path / "m")):
        found = json.loads(run("models", "show", str(path), "--json").text)
        rows = rows_of(run("models", "show", str(path)).text)
        assert rows["layers"] == "2: 1 with attention, 1 with a state in its place"
        memory, spec = found["memory"], runner_of(case).spec
        assert memory["state"] == spec.row_bytes == 4 * state_numbers(spec.each_layer[0].mixer)
        kept = f"({size(memory['cache_per_token'])} each), {size(memory['state'])} of states"
        assert rows["memory"].endswith(f"for {spec.context} tokens {kept}")
        assert rows["heads"] == "4 (keys and values: 2)"
        total = memory["weights"] + memory["cache"] + memory["state"]
        assert rows["memory"].startswith(size(total))


@pytest.mark.parametrize("command", [("complete", "-n", "1", "a"), ("score", "ab")])
def test_a_model_that_cannot_fit(tiny_model, monkeypatch, command):
    """Catches reading for minutes to find out that the memory is too small."""
    monkeypatch.setenv("GPTCLI_CPU_FEATURES", "none")
    monkeypatch.setattr(memory, "available_bytes", lambda _: 40_000)
    monkeypatch.setattr(
        "gptcli.engine.weights.checkpoint.Checkpoint.read",
        lambda *_: pytest.fail("weights were read"),
    )
    done = run(*command, "-m", str(tiny_model), "--dtype", "float32", "--device", "cpu")
    assert_one_line(done, 6, str(tiny_model), "needs ", "40 kB are free on cpu", "64 tokens")
    told = json.loads(run("models", "show", str(tiny_model), "--json").text)["memory"]
    assert f"needs {told['weights'] / 1000:.0f} kB of memory for its weights in float32" in done.err


def test_states_are_told_of_where_memory_is_short(hybrid_model, monkeypatch):
    """Catches a KV cache that is said to hold what states take."""
    monkeypatch.setenv("GPTCLI_CPU_FEATURES", "none")
    monkeypatch.setattr(memory, "available_bytes", lambda _: 40_000)
    done = run("complete", "-n", "1", "-m", str(hybrid_model), "--dtype", "float32", "a")
    told = json.loads(run("models", "show", str(hybrid_model), "--json").text)["memory"]
    cache = f"{size(told['cache'])} for the KV cache of 512 tokens"
    states = f"{size(told['state'])} for the states of a text"
    assert_one_line(done, 6, f"{cache}, {states}, and ", "to compute with; 40 kB are free")


def test_a_model_that_just_fits(tiny_model, monkeypatch):
    """Catches a check that counts the cache of the whole context, which may never be used."""
    monkeypatch.setenv("GPTCLI_CPU_FEATURES", "none")
    from tests.opening import spec_of

    spec = spec_of(tiny_model)
    told = json.loads(run("models", "show", str(tiny_model), "--json").text)["memory"]
    assert told["scratch"] == memory.scratch_bytes(spec, 64, 4)
    least = told["weights"] + spec.cache_bytes(64, 4) + told["scratch"]
    for free, code in ((least, 0), (least - 1, 6)):
        monkeypatch.setattr(memory, "available_bytes", lambda _, free=free: free)
        done = run("complete", "-n", "1", "-m", str(tiny_model), "--dtype", "float32", "a")
        assert done.code == code, done.err


def test_verify_prints_nothing_where_only_the_status_is_asked_for(tiny_model):
    """Catches a check that cannot be silent, and a --quiet that is so without a word."""
    told = run("models", "verify", str(tiny_model))
    assert told.code == 0 and "\tok\t" in told.text
    silent = run("models", "verify", "--status", "-q", str(tiny_model))
    assert (silent.code, silent.text, silent.err) == (0, "", "")
    quiet = run("models", "verify", "-q", str(tiny_model))
    assert (quiet.code, quiet.text) == (0, "")
    assert quiet.err == "gptcli: hint: --quiet: prints nothing, as --status does\n"
