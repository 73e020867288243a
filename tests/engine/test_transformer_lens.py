"""Ablation and activation patching against TransformerLens, in float32, at every entry."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import numpy as np
import pytest
import tokenizers
import torch
import transformers

from gptcli.engine.asking.prefix import PrefixCache
from gptcli.engine.edits import Edit
from gptcli.engine.points import Point, heads_of
from gptcli.engine.probes.effects import Variant, effects
from gptcli.engine.probes.kept import kept, means
from gptcli.engine.runner import Runner
from tests import oracle
from tests.engine.cpu.helpers import SETS, kernels_of
from tests.engine.helpers import GOLDENS, rows_of, runner_of

bridges = pytest.importorskip("transformer_lens.model_bridge")

#: Importing it takes longer than all that is tested.
pytestmark = pytest.mark.slow

CASES = ["gpt2/tied", "llama/head_dim"]
#: What each of our points is called there.
HOOKS: dict[Point, str] = {
    "heads": "blocks.{}.attn.hook_z",
    "attention": "blocks.{}.hook_attn_out",
    "mlp": "blocks.{}.hook_mlp_out",
    "stream": "blocks.{}.hook_resid_post",
    "embedding": "blocks.0.hook_resid_pre",
}
Change = Callable[[torch.Tensor], torch.Tensor]


@cache
def bridge_of(case: str) -> Any:
    model = oracle.open_model(GOLDENS / case)
    # It wants one, and asks it for nothing.
    words = tokenizers.Tokenizer(tokenizers.models.WordLevel({"?": 0, "<s>": 1}, unk_token="?"))
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=words, eos_token="<s>", pad_token="<s>"
    )
    return bridges.TransformerBridge.boot_transformers(
        str(GOLDENS / case), hf_model=model, tokenizer=tokenizer, device="cpu"
    )


def ours(case: str, through: str) -> Runner:
    return runner_of(case) if through == "torch" else kernels_of(case)


def places(runner: Runner) -> Iterator[tuple[Point, int, range | None, str]]:
    """Each part, and the name of its hook: heads one by one, all else whole."""
    yield "embedding", -1, None, HOOKS["embedding"]
    for layer in range(runner.spec.layers):
        count, size = heads_of(runner.spec, layer)
        for head in range(count):
            part = range(head * size, (head + 1) * size)
            yield "heads", layer, part, HOOKS["heads"].format(layer)
        for point in ("attention", "mlp", "stream"):
            yield point, layer, None, HOOKS[point].format(layer)


@torch.inference_mode()
def theirs(case: str, ids: list[int], hook: str, change: Change) -> np.ndarray:
    """Log-probabilities of all tokens after ids, where one of their points is changed."""

    def changed(value: torch.Tensor, hook: Any) -> torch.Tensor:
        flat = value.reshape(*value.shape[:2], -1).clone()
        return change(flat).reshape(value.shape)

    logits = bridge_of(case).run_with_hooks(torch.tensor([ids]), fwd_hooks=[(hook, changed)])
    return logits[0, -1].float().log_softmax(dim=-1).numpy()


def assert_same(case: str, through: str, ids: list[int], pairs: list[Any]) -> None:
    """Pairs of our edit and of a hook with its change there: the same for every token."""
    runner = ours(case, through)
    prefix, tokens = PrefixCache(runner), [[i] for i in range(runner.spec.vocab)]
    variants = [Variant((edit,)) for edit, _, _ in pairs]
    found = [each for batch in effects(prefix, ids, tokens, variants) for each in batch]
    plain = theirs(case, ids, HOOKS["embedding"], lambda value: value)
    moved = 0
    for (_, hook, change), rows in zip(pairs, found, strict=True):
        expected = theirs(case, ids, hook, change)
        np.testing.assert_allclose([row[0] for row in rows], expected, rtol=0, atol=1e-4)
        moved += bool(np.abs(expected - plain).max() > 1e-3)
    assert moved > len(pairs) // 3


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("through", ["torch", *["kernels"] * bool(SETS)])
@pytest.mark.parametrize("put", ["zero", "mean"])
def test_ablation(case, through, put):
    """Catches a part that is another's, or that is switched off in another place of the pass."""
    runner, (ids, other) = ours(case, through), [list(row[:9]) for row in rows_of(case)[:2]]
    every = [*places(runner)]
    points = {(point, layer) for point, layer, _, _ in every}
    numbers = means(runner, [(other, 0)], points)
    _, seen = bridge_of(case).run_with_cache(torch.tensor([other]))
    pairs = []
    for point, layer, part, hook in every:
        cut = slice(None) if part is None else slice(part.start, part.stop)
        add = np.ascontiguousarray(numbers[point, layer][cut]) if put == "mean" else None
        mean = seen[hook].reshape(len(other), -1).mean(dim=0)[cut].detach()

        def change(value: torch.Tensor, cut: slice = cut, mean: Any = mean) -> torch.Tensor:
            value[..., cut] = mean if put == "mean" else 0
            return value

        pairs.append((Edit(point, layer, None, None, part, 0.0, add), hook, change))
    assert_same(case, through, ids, pairs)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("through", ["torch", *["kernels"] * bool(SETS)])
def test_patching(case, through):
    """Catches what is taken from another position, layer or head, or put there."""
    runner, (clean, corrupt) = ours(case, through), [list(row[:9]) for row in rows_of(case)[:2]]
    every = [*places(runner)]
    there, _ = kept(runner, clean, {(point, layer) for point, layer, _, _ in every})
    _, seen = bridge_of(case).run_with_cache(torch.tensor([clean]))
    pairs = []
    for at in (0, 4, 8):
        for point, layer, part, hook in every:
            cut = slice(None) if part is None else slice(part.start, part.stop)
            add = np.ascontiguousarray(there.of((point, layer))[at, cut])
            source = seen[hook].reshape(len(clean), -1)[at, cut].detach()

            def change(
                value: torch.Tensor, at: int = at, cut: slice = cut, source: Any = source
            ) -> torch.Tensor:
                value[0, at, cut] = source
                return value

            edit = Edit(point, layer, None, range(at, at + 1), part, 0.0, add)
            pairs.append((edit, hook, change))
    assert_same(case, through, corrupt, pairs)
