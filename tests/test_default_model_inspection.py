"""Inspection on the default model in float32, against transformers on the same weights."""

from __future__ import annotations

import pytest
import torch

from gptcli.backends import open_backend
from gptcli.types.compute import Compute
from gptcli.types.next_tokens import NextTokensRequest
from tests.tasks import ended


@pytest.fixture(scope="module")
def backend(default_model):
    """The default model as a user would open it."""
    return ended(open_backend(Compute(str(default_model), device="cpu", dtype="float32")))


@pytest.fixture(scope="module")
def oracle(plain_default_model):
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(plain_default_model, dtype=torch.float32).eval()


TOP_K_PROMPTS = [
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
    "a",
    " ",
    "I am",
    "E = mc",
    "1, 2, 3, 4,",
    "The the the the the the",
    "To be, or not to be, that is the",
    "\t\tif (x == NULL) {\n\t\t\treturn",
    "Water boils at a temperature of",
    "🙂 שלום",
]


@pytest.mark.parametrize("prompt", TOP_K_PROMPTS)
def test_raw_probabilities_of_top_k_equal_transformers(prompt, backend, oracle):
    """Catches probabilities after a sampler, or at another place, told as the model's own."""
    found = backend.answer(NextTokensRequest(prompt, rows=50))
    ids = backend._open.tokenizer.encode(prompt)
    with torch.no_grad():
        theirs = oracle(torch.tensor([ids])).logits[0, -1].softmax(-1)
    shown = [candidate.token.id for candidate in found.candidates]
    ours = torch.tensor([candidate.probability for candidate in found.candidates])
    assert (ours - theirs[shown]).abs().max().item() < 1e-4
    assert (ours - theirs.topk(50).values).abs().max().item() < 1e-4
    entropy = -(theirs.double() * theirs.double().log2()).nansum().item()
    assert found.raw.entropy == pytest.approx(entropy, abs=1e-3)
