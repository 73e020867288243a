"""Drafts, asked for by flag and setting: the same bytes, and what is told of them."""

from __future__ import annotations

import json
import re
import shutil

import pytest

from tests.cli.helpers import run
from tests.cli.test_bad_input import assert_one_line
from tests.engine.cpu.helpers import needs_kernels

#: Has something in it twice, as texts of three tokens have.
TEXT = "the cat sat on the mat and the cat sat on the"
FEW = ("--logit-bias", "a=300", "--logit-bias", "o=300", "--logit-bias", "t=300")
WAYS = {
    "warm": ("complete", "--temp", "1.3", "--top-k", "4", "-n", "40"),
    "penalties": ("complete", "--repeat-penalty", "1.3", "--presence-penalty", "0.5", "-n", "30"),
    "healing": ("complete", "--heal", "--temp", "0", "-n", "20"),
    "chat": ("chat", "--temp", "2", "-n", "30"),
}


def drafts(err: str) -> tuple[int, int]:
    """Drafted and kept, of what --stats says."""
    found = re.search(r"drafts: (\d+) tokens?, (\d+) of them kept", err)
    assert found is not None, err
    return int(found[1]), int(found[2])


@needs_kernels
@pytest.mark.parametrize("way", WAYS)
def test_the_same_text_and_logprobs(tiny_model, way):
    """Catches a flag that does nothing, and drafts that change a byte or a log-probability where
    text, stop strings and healing meet them.
    """
    command, *flags = WAYS[way]
    flags += [*FEW, "-m", str(tiny_model), "--seed", "5", "--json", "--logprobs", "2"]
    flags += ["--stats", TEXT]
    plain = run(command, "--speculate", "off", *flags)
    assert plain.code == 0 and "drafts" not in plain.err
    choices = json.loads(plain.text)["choices"]
    content = choices[0].get("text") or choices[0]["message"]["content"]
    drafted = run(command, "--speculate", "6", *flags)
    assert json.loads(drafted.text)["choices"] == choices
    assert drafts(drafted.err)[0] > 0
    # Anywhere in the text, so also within a draft.
    for at in range(1, len(content) - 2, 7):
        stop = ["--stop", content[at : at + 2]]
        found = [run(command, "--speculate", n, *stop, *flags).text for n in ("off", "6")]
        assert json.loads(found[0])["choices"] == json.loads(found[1])["choices"]


@needs_kernels
def test_answers_after_examples(tiny_model):
    """Catches answers of few-shot that are another's, where one outlives the batch."""
    examples = ("--example", "the cat", "sat on the mat", "--example", "the dog", "sat on the mat")
    flags = ("few-shot", "-m", str(tiny_model), *examples, "-n", "20", "--stats", "the cat sat")
    plain, drafted = (run(*flags, "--speculate", each) for each in ("off", "5"))
    assert (plain.code, plain.out) == (drafted.code, drafted.out) == (0, plain.out)
    assert "drafts" not in plain.err and drafts(drafted.err)


@needs_kernels
def test_by_default_and_by_settings(tiny_model, monkeypatch):
    """Catches drafts that nobody told of by default, and a setting that is not read."""
    flags = ("complete", "-m", str(tiny_model), "-n", "3", "--stats", TEXT)
    assert drafts(run(*flags).err)
    assert "--speculate N does it still" in run(*flags, "--cpu-features", "none").err
    assert drafts(run(*flags, "--cpu-features", "none", "--speculate", "4").err)
    monkeypatch.setenv("GPTCLI_SPECULATE", "off")
    assert "drafts" not in run(*flags).err


@needs_kernels
def test_a_state_that_cannot_go_back(hybrid_model):
    """Catches drafts that cannot be taken back, and none of which nobody says why."""
    flags = ("complete", "-m", str(hybrid_model), "-n", "5", "--temp", "0", "--stats", TEXT)
    found = run(*flags, "--speculate", "4")
    assert found.code == 0
    assert "drafts: none, since layers of this model carry a state that cannot go back" in found.err
    assert found.out == run(*flags, "--speculate", "off").out


@pytest.mark.parametrize("value", ["0", "65", "on", "-1", "٣"])
def test_what_it_cannot_be(value):
    """Catches a value that is taken for another."""
    said = f"must be auto, off or 1 to 64, not '{value}'"
    assert_one_line(run("complete", f"--speculate={value}", "a"), 2, "--speculate", said)


def test_a_server_is_not_told():
    """Catches a flag that is dropped where another program computes."""
    refused = run(
        "complete", "--base-url", "http://127.0.0.1:9/v1", "-m", "x", "--speculate=4", "a"
    )
    assert refused.code == 2 and "--speculate: is about this machine" in refused.err


@needs_kernels
@pytest.mark.parametrize("way", WAYS)
def test_a_model_drafts_the_same_text(tiny_model, way):
    """Catches a model's drafts that change a byte where text, stop strings and healing meet them,
    and a flag that does nothing.
    """
    command, *flags = WAYS[way]
    flags += [*FEW, "-m", str(tiny_model), "--seed", "5", "--json", "--stats", "a dog on a log"]
    plain = run(command, "--speculate", "off", *flags)
    for more in (("--speculate", "4"), ()):
        found = run(command, "--draft", str(tiny_model), "--draft-dtype", "int8", *more, *flags)
        assert json.loads(found.text)["choices"] == json.loads(plain.text)["choices"]
    drafted = run(command, "--draft", str(tiny_model), "--speculate", "4", *flags)
    # What was not found in the text came from the model.
    assert drafts(drafted.err)[0] > drafts(run(command, "--speculate", "4", *flags).err)[0]


@needs_kernels
def test_where_no_model_drafts(tiny_model, hybrid_model, tmp_path):
    """Catches drafts in another vocabulary, and flags that would do nothing."""
    model = ("complete", "-m", str(tiny_model), "--temp", "0", "-n", "4", "a")
    draft = ("--draft", str(tiny_model))
    swapped = tmp_path / "swapped"
    shutil.copytree(tiny_model, swapped)
    tokenizer = json.loads((swapped / "tokenizer.json").read_text())
    known = tokenizer["model"]["vocab"]
    known["a"], known["b"] = known["b"], known["a"]
    (swapped / "tokenizer.json").write_text(json.dumps(tokenizer))
    for flags, words in (
        (("--speculate", "off", *draft), "--speculate off"),
        (("--cpu-features", "none", *draft), "--speculate N does it still"),
        (("--draft-dtype", "int8"), "needs --draft"),
        (("-m", "echo", *draft), "echo computes nothing"),
        (("--base-url", "http://127.0.0.1:9/v1", *draft), "is about this machine"),
        (("--batch", "-", *draft), "one text at a time"),
        (("--draft", str(swapped)), f"token {min(known['a'], known['b'])} of "),
        (("-m", str(hybrid_model), *draft), "a state that cannot go back"),
        (("--draft", str(hybrid_model)), "a state that cannot go back"),
    ):
        given = model[:-1] if "--batch" in flags else model
        assert_one_line(run(*given, *flags, stdin=b"a\n"), 2, "--draft", words)
