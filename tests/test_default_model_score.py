"""Scores of the default model against one forward pass of transformers, on the same directory."""

from __future__ import annotations

import math

import pytest
import torch

from gptcli.backends.local import LocalBackend
from gptcli.backends.local.open_model import OpenModel
from gptcli.types.compute import Compute
from gptcli.types.models import ModelDir
from gptcli.types.score import ScoreRequest

TEXTS = [
    "The capital of France is Paris, and that of Italy is Rome.\n\nBananas are not a country.",
    "def fibonacci(n):\n    if n < 2:\n        return n\n",
    "Das Wetter ist heute schön, 我喜欢 🙂.",
]


@pytest.mark.parametrize("text", TEXTS)
def test_scores_equal_transformers(text, default_backend, default_oracle):
    """Catches a token held to the wrong position, a wrong rank, and perplexity by another name."""
    found = default_backend.answer(ScoreRequest(text))
    ids = [each.token.id for each in found.tokens]
    with torch.no_grad():
        answer = default_oracle(torch.tensor([ids]), labels=torch.tensor([ids]))
    logprobs = answer.logits[0].float().log_softmax(-1)
    assert found.tokens[0].logprob is None
    for at, each in enumerate(found.tokens[1:]):
        theirs = logprobs[at, ids[at + 1]].item()
        assert each.logprob == pytest.approx(theirs, abs=1e-3)
        best = int(logprobs[at].argmax())
        assert each.best.id == best
        assert each.best_logprob == pytest.approx(logprobs[at, best].item(), abs=1e-3)
        above = [(logprobs[at] > theirs + by).sum().item() for by in (1e-3, -1e-3)]
        assert 1 + above[0] <= each.rank <= 1 + above[1]
    assert found.totals.perplexity == pytest.approx(math.exp(answer.loss.item()), rel=1e-4)


@pytest.mark.slow
def test_windows_equal_the_loop_of_transformers_guide(default_oracle, default_model):
    """Catches windows that score other tokens than those of the guide on fixed-length models."""
    model = ModelDir("smollm2", default_model, "test")
    small = LocalBackend(OpenModel(model, Compute(device="cpu", dtype="float32", ctx_size=16)))
    found = small.answer(ScoreRequest(TEXTS[0] * 2, stride=6))
    ids = torch.tensor([[each.token.id for each in found.tokens]])
    total, done, windows = 0.0, 0, 0
    for begin in range(0, ids.size(1), 6):
        end = min(begin + 16, ids.size(1))
        labels = ids[:, begin:end].clone()
        labels[:, : -(end - done)] = -100
        with torch.no_grad():
            loss = default_oracle(ids[:, begin:end], labels=labels).loss
        total += loss.item() * (labels[:, 1:] != -100).sum().item()
        windows += 1
        done = end
        if end == ids.size(1):
            break
    assert found.windows == windows > 2
    assert -found.totals.logprob == pytest.approx(total, rel=1e-4)
