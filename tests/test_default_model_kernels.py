"""The default model on the kernels in bfloat16 and quantised, on their real sizes.

float32 is in test_default_model.py, where its text is that of torch and of transformers.
"""

from __future__ import annotations

import numpy as np
import pytest

from gptcli.text.tokenizer import Tokenizer
from gptcli.types.sampling import Sampling
from tests.engine.cpu.helpers import needs_kernels
from tests.engine.helpers import generate
from tests.opening import load, open_runner
from tests.test_default_model import PROMPTS, TOKENS

pytestmark = needs_kernels


@pytest.fixture(scope="module")
def kernels(default_model, shared_data_dir):
    """Opens the default model on the kernels, packed weights kept between runs."""

    def opened(dtype: str, **flags):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("GPTCLI_DATA_DIR", str(shared_data_dir))
            return open_runner(default_model, device="cpu", dtype=dtype, **flags)

    return opened


@pytest.fixture(scope="module")
def tokenizer(default_model):
    return Tokenizer(default_model)


@pytest.fixture(scope="module")
def bfloat16(kernels):
    return kernels("bfloat16")


@pytest.fixture(scope="module")
def torch_bfloat16(default_model):
    return load(default_model, device="cpu", dtype="bfloat16")


@pytest.mark.parametrize("prompt", PROMPTS)
def test_every_token_of_a_greedy_text_is_the_best_of_torch(
    prompt,
    bfloat16,
    torch_bfloat16,
    tokenizer,
):
    """Catches bfloat16 in the kernels that is not that of torch, but for the last bit.

    Torch rounds the stream and the logits to bfloat16, the kernels neither. Several tokens often
    share torch's largest logit, and its own texts, made token by token, follow the order of its
    sums at such a place. So each token of the kernels' text is held to torch's logits after what
    stands before it: it may be short of the largest by one unit in bfloat16's last place.
    """
    ids = tokenizer.encode(prompt)
    steps = generate(bfloat16, ids, Sampling(temperature=0), max_new_tokens=TOKENS)
    text = [step[0].id for step in steps]
    logits = torch_bfloat16.all_logits(ids + text, torch_bfloat16.new_cache())
    logits = logits[len(ids) - 1 : -1].double().numpy()
    best = logits.max(axis=-1)
    unit = 2.0 ** (np.floor(np.log2(np.abs(best))) - 7)
    assert np.all(logits[np.arange(TOKENS), text] >= best - unit)


@pytest.mark.parametrize("dtype", ["bfloat16", "int8", "int4"])
def test_any_number_of_threads_gives_the_same_bytes(dtype, kernels, tokenizer):
    """Catches shares of real matrices, which no number of threads divides, that change a sum."""
    ids = tokenizer.encode(PROMPTS[0] * 3)
    found = []
    for threads in (1, 2, 3):
        runner = kernels(dtype, threads=threads)
        cache = runner.new_cache()
        first = runner.prefill([ids], cache)
        found.append(np.concatenate([first, runner.decode([5], cache), runner.decode([6], cache)]))
    for other in found[1:]:
        np.testing.assert_array_equal(found[0], other)
