"""The default model on the kernels in bfloat16 and quantised, on their real sizes.

float32 is in test_default_model.py, where its text is that of torch and of transformers.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import pytest
from torch import nn

from gptcli.engine.arrays import log_softmax
from gptcli.engine.cpu.binding.abi import Kind, Met
from gptcli.engine.cpu.run.key_groups import KEY_GROUP
from gptcli.engine.state.model_state import new_state
from gptcli.engine.torch.decoder import Decoder
from gptcli.engine.torch.runner import TorchRunner
from gptcli.text.tokenizer import Tokenizer
from gptcli.types.sampling import Sampling
from tests.engine.cpu.helpers import needs_kernels
from tests.engine.cpu.test_quantised_forward import rounded
from tests.engine.helpers import generate
from tests.opening import load, open_kernels, open_runner
from tests.test_default_model import PROMPTS, TOKENS, of_prompts

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
def slow_bfloat16(default_model) -> TorchRunner:
    """The weights in bfloat16, met in float32: the slow reference of the kernels' own arithmetic.

    Torch's own bfloat16 rounds after each step, and otherwise on every kind of processor.
    """
    return TorchRunner(load(default_model, device="cpu", dtype="bfloat16").decoder.float())


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("prompt", of_prompts(PROMPTS[0]))
def test_every_token_of_a_greedy_text_is_the_best_of_the_reference(
    prompt, exact, kernels, slow_bfloat16, tokenizer
):
    """Catches weights or activations in bfloat16 that are not rounded as the reference's are.

    Keys and values are bfloat16 in the kernels alone, and what is at the border between two
    roundings falls to either side: all logits are held in the middle, and each token of the text
    may be short of the largest logit by as much as half the last place of bfloat16 there, or less.
    """
    ids = tokenizer.encode(prompt)
    runner = kernels("bfloat16", activations="float32" if exact else "auto")
    text = [
        step[0].id for step in generate(runner, ids, Sampling(temperature=0), max_new_tokens=TOKENS)
    ]
    ours = np.asarray(runner.all_logits(ids + text, runner.new_state()))[len(ids) - 1 : -1]
    with rounding(slow_bfloat16.decoder, runner.facts.instructions, exact):
        theirs = slow_bfloat16.all_logits(ids + text, slow_bfloat16.new_state())
    theirs = theirs[len(ids) - 1 : -1].numpy()
    assert np.median(np.abs(ours - theirs)) < (0.02 if exact else 0.06)
    assert np.all(theirs[np.arange(TOKENS), text] >= theirs.max(axis=-1) - 1 / 16)


@contextmanager
def rounding(decoder: Decoder, instructions: str, exact: bool) -> Iterator[None]:
    """What meets a matrix is rounded as these kernels round it."""
    hook = rounded(Kind.BFLOAT16, instructions, Met.FLOAT32 if exact else Met.INT16)
    linears = [module for module in decoder.modules() if isinstance(module, nn.Linear)]
    with ExitStack() as stack:
        for linear in linears:
            stack.callback(linear.register_forward_pre_hook(hook).remove)
        # The head is the embedding, and no module of its own.
        head = decoder.final_norm.register_forward_hook(
            lambda module, _, out: (hook(module, (out,)) or (out,))[0]
        )
        stack.callback(head.remove)
        yield


@pytest.mark.parametrize("dtype", ["bfloat16", "int8", "int4"])
def test_any_number_of_threads_gives_the_same_bytes(dtype, kernels, tokenizer):
    """Catches shares of real matrices, which no number of threads divides, that change a sum."""
    ids = tokenizer.encode(PROMPTS[0] * 3)
    found = []
    for threads in (1, 2, 3):
        runner = kernels(dtype, threads=threads)
        cache = runner.new_state()
        first = runner.prefill([ids], cache)
        found.append(np.concatenate([first, runner.decode([5], cache), runner.decode([6], cache)]))
    for other in found[1:]:
        np.testing.assert_array_equal(found[0], other)


def test_defaults_round_next_to_nothing(default_model, shared_data_dir, tokenizer):
    """Catches keys and values in bfloat16, which alone rounded sixty times as much as all the rest.

    Against the same weights with activations, keys and values in float32.
    """
    ids = tokenizer.encode((Path(__file__).parents[1] / "README.md").read_text("utf-8"))[:256]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GPTCLI_DATA_DIR", str(shared_data_dir))
        runner, slow = (
            open_kernels(default_model, activations=each) for each in ("auto", "float32")
        )
    assert runner.facts.activations == "int16"
    wide = new_state(slow.spec, 1, np.empty(0, np.float32), group=KEY_GROUP)
    exact = log_softmax(slow.all_logits(ids, wide).astype(np.float64))
    found = log_softmax(runner.all_logits(ids, runner.new_state()).astype(np.float64))
    divergence = (np.exp(exact) * (exact - found)).sum(1).mean()
    assert divergence < 1.5e-6, divergence
