"""Inspection on the default model in float32, against transformers on the same weights."""

from __future__ import annotations

import pytest
import torch

from gptcli.types.next_tokens import NextTokensRequest

TOP_K_PROMPTS = [
    "def fibonacci(n):\n    ",
    "我喜欢",
    "a",
    " ",
    "1, 2, 3, 4,",
    "The the the the the the",
    "To be, or not to be, that is the",
    "\t\tif (x == NULL) {\n\t\t\treturn",
    "Water boils at a temperature of",
    "🙂 שלום",
]


@pytest.mark.parametrize("prompt", TOP_K_PROMPTS)
def test_raw_probabilities_of_top_k_equal_transformers(prompt, default_backend, default_oracle):
    """Catches probabilities after a sampler, or at another place, told as the model's own."""
    found = default_backend.answer(NextTokensRequest(prompt, rows=50))
    ids = default_backend._open.tokenizer.encode(prompt)
    with torch.no_grad():
        theirs = default_oracle(torch.tensor([ids])).logits[0, -1].softmax(-1)
    shown = [candidate.token.id for candidate in found.candidates]
    ours = torch.tensor([candidate.probability for candidate in found.candidates])
    assert (ours - theirs[shown]).abs().max().item() < 1e-4
    assert (ours - theirs.topk(50).values).abs().max().item() < 1e-4
    entropy = -(theirs.double() * theirs.double().log2()).nansum().item()
    assert found.raw.entropy == pytest.approx(entropy, abs=1e-3)
