"""`gptcli score --compare-dtype`, on the tiny model."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from tests.cli.helpers import run
from tests.cli.test_bad_input import assert_one_line
from tests.conftest import with_context
from tests.engine.cpu.helpers import needs_kernels

TEXT = "the cat sat on the mat and the dog sat on the log, " * 4


@pytest.fixture
def model(tiny_model: Path, tmp_path: Path) -> Path:
    """The tiny model with room for the text."""
    return with_context(tiny_model, tmp_path / "model", 512, None)


@pytest.fixture
def text(tmp_path: Path) -> Path:
    """A file with the text."""
    file = tmp_path / "text.txt"
    file.write_text(TEXT + "\n")
    return file


@pytest.fixture
def score(model: Path):
    """`score` on that model."""
    return lambda *argv, **more: run("score", "-m", str(model), *argv, **more)


def compared(done) -> dict:
    """What a JSON answer says."""
    assert done.code == 0, done.err
    assert done.text.count("\n") == 1
    return json.loads(done.text)


def logits_in(model: Path, dtype: str, **flags) -> tuple[np.ndarray, list[int]]:
    """All logits of the text at once, in float64, and its ids."""
    from gptcli.text.tokenizer import Tokenizer
    from tests.opening import open_runner

    ids = Tokenizer(model).encode(TEXT)
    runner = open_runner(model, device="cpu", dtype=dtype, **flags)
    return np.asarray(runner.all_logits(ids, runner.new_state())).astype(np.float64), ids


def test_numbers_are_those_of_their_definitions(score, model, text):
    """Catches a shifted place, the wrong percentile, bits for nats, and KL the other way round."""
    found = compared(score("--json", "--compare-dtype", "bf16, float16", str(text)))
    one, ids = logits_in(model, "float32")
    assert found["tokens_scored"] == len(ids) - 1
    assert (found["dtype"], found["device"]) == ("float32", "cpu")
    p = np.exp(one) / np.exp(one).sum(axis=-1, keepdims=True)
    assert [each["dtype"] for each in found["dtypes"]] == ["bfloat16", "float16"]
    for each in found["dtypes"]:
        two, _ = logits_in(model, each["dtype"])
        q = np.exp(two) / np.exp(two).sum(axis=-1, keepdims=True)
        divergences = sorted((p * np.log(p / q)).sum(axis=-1)[:-1])
        # Logits of single-token parts may be rounded otherwise than those of the whole.
        assert each["kl_mean"] == pytest.approx(np.mean(divergences), rel=1e-3)
        place = math.ceil(0.99 * len(divergences)) - 1
        assert each["kl_99"] == pytest.approx(divergences[place], rel=1e-3)
        same = one[:-1].argmax(axis=-1) == two[:-1].argmax(axis=-1)
        assert each["top1_agreement"] == pytest.approx(same.mean())
        for name, chances in (("perplexity", q), ("exact", p)):
            logprobs = np.log(chances[np.arange(len(ids) - 1), ids[1:]])
            told = found["perplexity"] if name == "exact" else each["perplexity"]
            assert told == pytest.approx(math.exp(-logprobs.mean()), rel=1e-5)


@needs_kernels
def test_quantised_with_rounded_and_with_exact_activations(score, text):
    """Catches --activations that is not heard, and a precision that is not told."""
    flags = ("--json", "--compare-dtype", "int8,int4", str(text))
    rounded = compared(score("--activations", "int8", *flags))["dtypes"]
    exact = compared(score("--exact-activations", *flags))["dtypes"]
    assert [each["activations"] for each in rounded + exact] == ["int8"] * 2 + ["float32"] * 2
    for one, other in zip(rounded, exact, strict=True):
        assert 0 < other["kl_mean"] != one["kl_mean"] > 0
    assert exact[0]["kl_mean"] < exact[1]["kl_mean"]


def test_float32_is_not_apart_from_itself_and_perplexity_is_that_of_score(score, text):
    """Catches two models that see different texts, and perplexity by another name."""
    found = compared(score("--json", "--compare-dtype", "f32", str(text)))
    (same,) = found["dtypes"]
    assert (same["kl_mean"], same["kl_99"], same["top1_agreement"]) == (0, 0, 1)
    alone = json.loads(score("--json", "--totals", "-f", str(text), "--dtype", "float32").text)
    assert found["perplexity"] == same["perplexity"]
    assert found["perplexity"] == pytest.approx(alone["totals"]["perplexity"], rel=1e-6)
    assert found["windows"] == alone["windows"]
    assert found["tokens_scored"] == alone["totals"]["tokens_scored"]


def test_long_texts_run_in_the_windows_of_score(score, text):
    """Catches a text that is cut at the context, or windows of its own."""
    flags = ("--ctx-size", "32", "--stride", "9", "--json")
    found = compared(score(*flags, "--compare-dtype", "bfloat16", str(text)))
    alone = json.loads(score(*flags, "--dtype", "float32", "-f", str(text)).text)
    assert found["windows"] == alone["windows"] and found["windows"]["windows"] > 3
    assert found["perplexity"] == pytest.approx(alone["totals"]["perplexity"], rel=1e-6)


def test_every_way_to_give_a_text(score, text):
    """Catches the argument being scored as if the file's name were the text."""
    flags = ("--json", "--compare-dtype", "bfloat16")
    expected = score(*flags, str(text)).text
    assert score(*flags, "-f", str(text)).text == expected
    assert score(*flags, "-p", TEXT).text == expected
    assert score(*flags, "-", stdin=TEXT.encode()).text == expected
    assert score(*flags, stdin=TEXT.encode()).text == expected
    after = compared(score(*flags, "--context", "the cat", "-p", " sat on"))
    assert after["context_tokens"] > 0


def test_forms_say_the_same(score, text, monkeypatch):
    """Catches a table, rows and JSON that drift apart, and a form that hides what was compared."""
    flags = ("--compare-dtype", "bfloat16,float16", str(text))
    found = compared(score("--json", *flags))
    head, *rows = (line.split("\t") for line in score(*flags).text.splitlines())
    for row, each in zip(rows, found["dtypes"], strict=True):
        told = dict(zip(head, row, strict=True))
        assert told["dtype"] == each["dtype"]
        for name in ("kl_mean", "kl_99", "perplexity", "top1_agreement"):
            assert float(told[name]) == pytest.approx(each[name], rel=1e-8)
        assert float(told["perplexity_float32"]) == pytest.approx(found["perplexity"], rel=1e-8)
        assert int(told["tokens"]) == found["tokens_scored"]
    monkeypatch.setenv("COLUMNS", "100")
    shown = score("--ctx-size", "32", *flags, terminal=True).text
    assert "KL divergence from float32 in nats" in shown and "float32 on cpu" in shown
    assert "windows of 32, each beginning 16 after" in " ".join(shown.split())
    lines = [line.split()[0] for line in shown.splitlines()[1:4]]
    assert [line.replace("\x1b[1m", "").split("\x1b")[0] for line in lines] == [
        *("float32", "bfloat16", "float16")
    ]


@pytest.mark.parametrize(
    ("argv", "code", "parts"),
    [
        (("--compare-dtype", "int3", "FILE"), 2, ("--compare-dtype: must be one of", "'int3'")),
        (("--compare-dtype", "", "FILE"), 2, ("--compare-dtype: must be a text",)),
        (("--compare-dtype", "int8,", "FILE"), 2, ("--compare-dtype: must be a text",)),
        (("--compare-dtype", "f32,float32", "FILE"), 2, ("names float32 twice",)),
        (("--compare-dtype", "int8", "/no/such"), 4, ("/no/such: No such file",)),
        (("--compare-dtype", "bf16", "--jsonl"), 2, ("--jsonl: cannot be combined with",)),
        (("--compare-dtype", "bf16", "--diff", "a", "FILE"), 2, ("--diff:",)),
        (("--compare-dtype", "bf16", "--diff-file", "FILE", "FILE"), 2, ("--diff-file:",)),
        (("--compare-dtype", "bf16", "--table", "FILE"), 2, ("--table:",)),
        (("--compare-dtype", "bf16", "--totals", "FILE"), 2, ("--totals:",)),
        (("--compare-dtype", "bf16", "--dtype", "int8", "FILE"), 2, ("--dtype:", "to float32")),
        (("--compare-dtype", "bf16", "-p", "t"), 4, ("one token with nothing before it",)),
        (("--compare-dtype", "bf16", "-m", "echo", "FILE"), 2, ("echo: cannot score a text",)),
        (
            ("--compare-dtype", "int8", "--cpu-features", "none", "FILE"),
            2,
            ("--compare-dtype: int8 needs the CPU kernels: --cpu-features none",),
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_what_makes_no_sense_is_one_line(score, text, argv, code, parts):
    """Catches a flag that is dropped in silence, and an error that names another flag."""
    flags = [str(text) if each == "FILE" else each for each in argv]
    done = score(*flags, stdin=None, terminal=True)
    assert_one_line(done, code, *parts)


def test_it_works_without_the_kernels(score, text):
    """Catches a comparison that only the kernels can make."""
    flags = ("--json", "--compare-dtype", "bfloat16,float16", "--cpu-features", "none", str(text))
    found = compared(score(*flags))
    assert all(0 < each["kl_mean"] < 0.1 for each in found["dtypes"])
    assert all("activations" not in each for each in found["dtypes"])


def test_what_was_found_before_an_error_is_printed(score, text):
    """Catches minutes of work that are lost with the dtype that cannot be."""
    flags = ("--json", "-q", "--compare-dtype", "bfloat16,int8", "--cpu-features", "none")
    done = score(*flags, str(text))
    assert done.code == 2
    assert done.err.startswith("gptcli: error: --compare-dtype: int8 needs the CPU kernels")
    assert [each["dtype"] for each in json.loads(done.text)["dtypes"]] == ["bfloat16"]


def test_a_dtype_of_the_settings_does_not_matter(score, text, monkeypatch):
    """Catches a comparison with itself where a user's file has a dtype."""
    expected = score("--json", "--compare-dtype", "bfloat16", str(text)).text
    monkeypatch.setenv("GPTCLI_DTYPE", "bfloat16")
    assert score("--json", "--compare-dtype", "bfloat16", str(text)).text == expected
