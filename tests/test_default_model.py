"""The default model against transformers, on the same converted directory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from gptcli.engine.cpu.run.runner import KernelRunner
from gptcli.types.sampling import Sampling
from tests.engine.cpu.helpers import SETS
from tests.engine.helpers import generate
from tests.opening import load, open_runner

PROMPTS = [
    "The most effective way to learn computer science is",
    "Once upon a time, in a small village by the sea,",
    "def fibonacci(n):\n    ",
    "The capital of France is",
    "Q: What is 12 times 12?\nA:",
    "Dear Sir or Madam,\n\nI am writing to",
    "In 1969, the first humans",
    "Die Hauptstadt von Deutschland ist",
    "<html>\n<head>\n<title>",
    "我喜欢",
]
TOKENS = 64
#: Of them, those that torch draws too, which takes it long.
BY_TORCH = 12
#: An English text, a program and no Latin letter; each takes a second or more, and the others are
#: run by `-m faults`.
FEW = (PROMPTS[0], PROMPTS[2], PROMPTS[9])


def of_prompts(*wanted: str) -> list[Any]:
    """All prompts, of which each run has those that are wanted."""
    return [
        each if each in wanted else pytest.param(each, marks=pytest.mark.faults) for each in PROMPTS
    ]


@pytest.fixture(scope="module")
def runner(default_model):
    return load(default_model, device="cpu", dtype="float32")


@pytest.fixture(scope="module")
def runners(default_model, shared_data_dir, runner):
    """Torch's, and the kernels' where they were built."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GPTCLI_DATA_DIR", str(shared_data_dir))
        found = open_runner(default_model, device="cpu", dtype="float32")
    assert isinstance(found, KernelRunner) == bool(SETS)
    return [runner, found]


@pytest.fixture(scope="module")
def tokenizer(default_model):
    from gptcli.text.tokenizer import Tokenizer

    return Tokenizer(default_model)


@pytest.mark.parametrize("prompt", of_prompts(FEW[0]))
def test_greedy_text_equals_transformers(prompt, runners, default_oracle, tokenizer):
    """Catches a wrong conversion (permuted rows, rope base, norm) that tiny models cannot show.

    Theirs is the best token after each one of ours: their text, as long as ours has been that.
    The text of the kernels is that of torch, since both are that of transformers.
    """
    ids = tokenizer.encode(prompt)
    by_torch, ours = (
        [step[0].id for step in generate(each, ids, Sampling(temperature=0), max_new_tokens=count)]
        for each, count in zip(runners, (BY_TORCH, TOKENS), strict=True)
    )
    with torch.no_grad():
        logits = default_oracle(torch.tensor([ids + ours])).logits[0]
    theirs = logits[len(ids) - 1 : -1].argmax(-1).tolist()
    assert len(ours) == TOKENS and ours == theirs
    assert by_torch == theirs[:BY_TORCH]


@pytest.mark.parametrize("prompt", of_prompts(*FEW))
def test_top_20_log_probabilities_equal_transformers(prompt, runner, default_oracle, tokenizer):
    """Catches drift in the numbers that greedy text would hide."""
    ids = tokenizer.encode(prompt)
    ours = runner.prefill([ids], runner.new_state())[0].log_softmax(-1)
    with torch.no_grad():
        theirs = default_oracle(torch.tensor([ids])).logits[0, -1].float().log_softmax(-1)
    best = theirs.topk(20).indices
    assert (ours[best] - theirs[best]).abs().max().item() < 1e-3
    assert ours.topk(20).indices.tolist() == best.tolist()


def test_peak_memory(with_default_model: Path, tmp_path: Path):
    """Catches a second copy of the weights, or a prefill that keeps logits of the whole prompt."""
    prompt = tmp_path / "prompt.txt"
    prompt.write_text("The history of computing is long. " * 100)
    generated = 16
    code = (
        "import sys\nfrom gptcli.backends.local.memory import peak_bytes\n"
        "from gptcli.cli.boundary import main\n"
        "assert main(sys.argv[1:]) == 0\n"
        "print(peak_bytes('cpu'), file=sys.stderr)"
    )
    flags = ["--json", "-q", "-n", str(generated), "--dtype", "bfloat16", "--device", "cpu"]
    done = subprocess.run(
        [sys.executable, "-c", code, "complete", *flags, "-f", str(prompt)],
        capture_output=True,
        text=True,
        timeout=300,
        stdin=subprocess.DEVNULL,
        env=os.environ | {"GPTCLI_DATA_DIR": str(with_default_model.parents[1])},
    )
    assert done.returncode == 0, done.stderr
    tokens = json.loads(done.stdout)["usage"]["total_tokens"]
    decoder = load(with_default_model, device="cpu", dtype="bfloat16").decoder
    weights = sum(each.nbytes for each in decoder.parameters())
    cache = decoder.spec.cache_bytes(tokens, element_size=2)
    assert int(done.stderr) <= weights + cache + 350e6
