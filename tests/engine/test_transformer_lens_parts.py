"""Direct logit attribution against TransformerLens, in float32, part by part."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
import tokenizers
import torch
import transformers

from gptcli.engine.probes.parts import Part, parts_of
from gptcli.engine.probes.streams import Streams
from tests import oracle
from tests.engine.cpu.helpers import SETS, kernels_of
from tests.engine.helpers import GOLDENS, rows_of, runner_of

bridges = pytest.importorskip("transformer_lens.model_bridge")

#: Importing it takes longer than all that is tested.
pytestmark = pytest.mark.slow

CASES = ["gpt2/tied", "llama/head_dim"]
TOKEN, VERSUS = 5, 17


@cache
def seen(case: str) -> tuple[Any, Any]:
    """Their model, its norms' weights in what reads them, and what it has kept of a text."""
    # It wants a tokenizer, and asks it for nothing.
    words = tokenizers.Tokenizer(tokenizers.models.WordLevel({"?": 0, "<s>": 1}, unk_token="?"))
    bridge = bridges.TransformerBridge.boot_transformers(
        str(GOLDENS / case),
        hf_model=oracle.open_model(GOLDENS / case),
        tokenizer=transformers.PreTrainedTokenizerFast(
            tokenizer_object=words, eos_token="<s>", pad_token="<s>"
        ),
        device="cpu",
    )
    # No logit and no head is told less than it is: only differences are the same without.
    bridge.enable_compatibility_mode(
        center_writing_weights=False, center_unembed=False, fold_value_biases=False
    )
    with torch.inference_mode():
        _, kept = bridge.run_with_cache(torch.tensor([rows_of(case)[0][:9]]))
    return bridge, kept


@torch.inference_mode()
def theirs(case: str, versus: int | None) -> dict[str, float]:
    bridge, kept = seen(case)
    stack, labels = kept.get_full_resid_decomposition(
        expand_neurons=False, return_labels=True, apply_ln=False, pos_slice=-1
    )
    found = kept.logit_attrs(stack, tokens=TOKEN, incorrect_tokens=versus, pos_slice=-1)
    parts = dict(zip(labels, found[:, 0].tolist(), strict=True))
    parts["embed"] += parts.pop("pos_embed", 0.0)
    taken = 0.0 if versus is None else bridge.b_U[versus].item()
    # What the final norm's bias and the head's add, and biases behind heads, are one there.
    parts["bias"] += bridge.b_U[TOKEN].item() - taken
    return parts


def name_of(part: Part) -> str:
    match part.name:
        case "head":
            return f"L{part.layer}H{part.head}"
        case "mlp":
            return f"{part.layer}_mlp_out"
    return {"embedding": "embed"}.get(part.name, part.name)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("versus", [None, VERSUS])
@pytest.mark.parametrize("through", ["torch", *["kernels"] * bool(SETS)])
def test_every_part_is_theirs(case, versus, through):
    """Catches a norm that is not as it was, a head that is another's, a bias counted elsewhere."""
    runner = runner_of(case) if through == "torch" else kernels_of(case)
    streams = Streams(range(8, 9), heads=True)
    runner.prefill([rows_of(case)[0][:9]], runner.new_state(), probe=streams)
    ours: dict[str, float] = {"bias": 0.0}
    for part in parts_of(runner, streams, TOKEN, versus).parts:
        ours[name_of(part)] = ours.get(name_of(part), 0.0) + part.adds
    assert abs(ours.pop("rounding")) < 1e-4
    assert ours == pytest.approx(theirs(case, versus), abs=1e-4)
