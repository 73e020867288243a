"""choose, tree and healing on the default model, against transformers on the same weights."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch

from tests.cli.helpers import run

F32 = ("--dtype", "float32", "--device", "cpu")
CASES = [
    ("The capital of France is", (" Paris", " London", " a city of light", "n't")),
    ("Review: I loved every minute.\nSentiment: ", ("positive", "negative", "neither of the two")),
    ("The capital of Fran", ("ce is Paris", "klin County", "conia")),
]


@pytest.fixture(scope="module")
def oracle(plain_default_model, default_oracle):
    from transformers import AutoTokenizer

    return default_oracle, AutoTokenizer.from_pretrained(plain_default_model)


def logprob(oracle, prompt: str, text: str, start: int) -> float:
    """One forward over everything; the log-probability of the tokens from `start` on."""
    model, tokenizer = oracle
    ids = tokenizer(prompt + text)["input_ids"]
    with torch.no_grad():
        whole = model(torch.tensor([ids])).logits[0].log_softmax(-1)
    return sum(float(whole[i - 1, ids[i]]) for i in range(start, len(ids)))


@pytest.mark.slow
@pytest.mark.parametrize(("prompt", "texts"), CASES, ids=["word", "space", "within a word"])
def test_choose_equals_transformers(prompt, texts, oracle, with_default_model: Path):
    """Catches a border, a padding or a batch that only a real vocabulary shows."""
    flags = [part for text in texts for part in ("--choice", text)]
    found = json.loads(run("choose", *F32, "--json", *flags, prompt).text)
    tokenizer = oracle[1]
    kept = tokenizer(prompt.rstrip())["input_ids"]
    wholes = [tokenizer(prompt + text)["input_ids"] for text in texts]
    start = next(
        i for i in range(len(kept) + 1) if i == len(kept) or any(w[i] != kept[i] for w in wholes)
    )
    totals = {text: logprob(oracle, prompt, text, start) for text in texts}
    ranked = sorted(texts, key=lambda text: -totals[text])
    assert [each["text"] for each in found["choices"]] == ranked
    for each in found["choices"]:
        assert each["logprob"] == pytest.approx(totals[each["text"]], abs=1e-3)


def test_tree_equals_transformers(oracle, with_default_model: Path):
    """Catches a joint probability that is not that of the text."""
    prompt = "The capital of France is"
    found = json.loads(run("tree", *F32, "--json", "--depth", "3", "--width", "2", prompt).text)
    model, tokenizer = oracle
    ids = tokenizer(prompt)["input_ids"]

    def check(nodes: list[dict], before: list[int], joint: float) -> int:
        with torch.no_grad():
            logprobs = model(torch.tensor([before])).logits[0, -1].log_softmax(-1)
        assert [node["id"] for node in nodes] == logprobs.topk(2).indices.tolist()
        count = len(nodes)
        for node in nodes:
            together = joint + float(logprobs[node["id"]])
            assert node["joint_probability"] == pytest.approx(math.exp(together), abs=1e-4)
            if node["children"]:
                count += check(node["children"], [*before, node["id"]], together)
        return count

    assert check(found["children"], ids, 0.0) == found["nodes"]


@pytest.mark.parametrize(
    ("prompt", "text"),
    [
        ("The capital of Fran", "ce is Paris."),
        ("The capital of France is ", "Paris."),
        ("The capital of France is", " Paris."),
    ],
)
def test_healing_finds_the_word(prompt, text, with_default_model: Path):
    """Catches a prompt that is continued from half a token: " France" is one, " Fran" another."""
    done = run("complete", *F32, "--heal", "--temp", "0", "--stop", "\n", "-n", "4", prompt)
    assert done.text.startswith(text)
    assert done.err == ""
