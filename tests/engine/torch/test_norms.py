"""Norms and the scale of the embedding, rounding for rounding as transformers has them."""

from __future__ import annotations

import pytest
import torch

from gptcli.engine.model.spec import NormSpec
from gptcli.engine.torch.norm import Norm
from tests.engine.helpers import Recorder, rows_of, runner_of


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_norm_of_gemma_rounds_as_transformers_does(dtype):
    """Catches 1 + weight in a half type, or a rounding before the weight multiplies."""
    from transformers.models.gemma.modeling_gemma import GemmaRMSNorm

    generator = torch.Generator().manual_seed(1)
    theirs, ours = GemmaRMSNorm(64), Norm(NormSpec("rmsnorm", 1e-6, offset=True), 64)
    weight = 0.3 * torch.randn(64, generator=generator)
    x = torch.randn(3, 50, 64, generator=generator).to(dtype)
    for norm in (theirs, ours):
        norm.weight.data = weight.to(dtype)
    assert torch.equal(ours(x), theirs(x))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_norm_with_a_weight_for_each_head_equals_transformers(dtype):
    """Catches a head that gets another head's weight."""
    from transformers.models.cohere.modeling_cohere import CohereLayerNorm

    generator = torch.Generator().manual_seed(1)
    theirs, ours = CohereLayerNorm((3, 8), eps=1e-5), Norm(NormSpec("layernorm", 1e-5), 3, 8)
    weight = 1 + 0.3 * torch.randn(3, 8, generator=generator)
    x = torch.randn(2, 50, 3, 8, generator=generator).to(dtype)
    for norm in (theirs, ours):
        norm.weight.data = weight.to(dtype)
    tolerance = 1e-6 if dtype == torch.float32 else torch.finfo(dtype).eps
    torch.testing.assert_close(ours(x), theirs(x), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_embedding_of_gemma_is_scaled_as_transformers_does(dtype):
    """Catches a scale that is not rounded to the dtype: the model was trained with the rounded."""
    from transformers.models.gemma3.modeling_gemma3 import Gemma3TextScaledWordEmbedding

    runner = runner_of("gemma/tied", dtype)
    width, vocab = runner.spec.width, runner.spec.vocab
    theirs = Gemma3TextScaledWordEmbedding(vocab, width, 0, embed_scale=width**0.5)
    theirs.weight.data = runner.decoder.embedding.weight
    row = rows_of("gemma/tied")[0]
    seen = Recorder(range(len(row)), ("embedding",))
    runner.all_logits(row, runner.new_state(), probe=seen)
    expected = theirs(torch.tensor([row]))
    assert torch.equal(seen.by_place["embedding", -1], expected)
    plain = runner.decoder.embedding.weight[torch.tensor(row)] * width**0.5
    assert dtype == "float32" or not torch.equal(plain, expected[0])
