"""A model that learns here to copy: its induction head is what `ablate` and `patch` find.

Two layers learn it from sequences that repeat after a while: a head of the first looks at the
token before, and one of the second at what came behind the last time that this token did.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from gptcli.engine.probes.attention import AttentionWeights
from tests.cli.helpers import run
from tests.opening import load
from tests.test_readme import write_tokenizer

#: Seconds of a processor are spent on learning.
pytestmark = pytest.mark.slow

#: Of the tokenizer's letters, "a" is the third.
A, LETTERS, VOCABULARY = 2, 16, 54
SHORTEST, LONGEST, TIME = 4, 10, 28
PROMPT, NEXT = "abcdefgabc", "d"


def learned(directory: Path) -> Path:
    """A Llama of two layers and narrow MLPs that continues what repeats."""
    import transformers

    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=64,
        intermediate_size=8,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=64,
        rope_parameters={"rope_type": "default", "rope_theta": 100.0},
        bos_token_id=None,
        eos_token_id=None,
    )
    model: Any = transformers.LlamaForCausalLM(config)
    named = [(name, each) for name, each in model.named_parameters()]
    inner = [each for name, each in named if ".layers." in name and each.ndim == 2]
    outer = [each for name, each in named if not (".layers." in name and each.ndim == 2)]
    # With AdamW alone it takes many times as long.
    optimizers = [
        torch.optim.Muon(inner, lr=0.02, momentum=0.9, weight_decay=0.0),
        torch.optim.AdamW(outer, lr=5e-3, betas=(0.9, 0.95)),
    ]
    for _ in range(400):
        period = torch.randint(SHORTEST, LONGEST + 1, (32, 1))
        texts = A + torch.rand(32, LETTERS).argsort(dim=1)[:, :LONGEST]
        rows = texts.gather(1, torch.arange(TIME)[None] % period)
        logits = model(input_ids=rows).logits[:, :-1].transpose(1, 2)
        losses = torch.nn.functional.cross_entropy(logits, rows[:, 1:], reduction="none")
        loss = losses[torch.arange(1, TIME)[None] > period].mean()
        for optimizer in optimizers:
            optimizer.zero_grad()
        loss.backward()
        for optimizer in optimizers:
            optimizer.step()
        if loss < 0.02:
            break
    model.save_pretrained(directory)
    write_tokenizer(directory / "tokenizer.json")
    return directory


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    threads = torch.get_num_threads()
    # Of so small a model, several only wait for each other.
    torch.set_num_threads(1)
    try:
        return learned(tmp_path_factory.mktemp("induction") / "m")
    finally:
        torch.set_num_threads(threads)


def looking(model: Path) -> tuple[str, str]:
    """The head of layer 1 that looks at what came behind, and that of 0 which looks back by one.

    They are found by where they look, not by what hangs on them.
    """
    runner = load(model, device="cpu", dtype="float32")
    ids = [A + ord(letter) - ord("a") for letter in PROMPT]
    seen = AttentionWeights(runner, range(len(ids)))
    runner.prefill([ids], runner.new_state(), probe=seen)
    behind = seen.of(1)[:, -1, PROMPT.index(NEXT)]
    back = torch.stack([seen.of(0)[:, at, at - 1] for at in range(1, len(ids))]).mean(dim=0)
    assert float(behind.max()) > 0.7 and float(back.max()) > 0.4
    return f"1.{int(behind.argmax())}", f"0.{int(back.argmax())}"


def answer(command: str, model: Path, *argv: str) -> dict[str, Any]:
    done = run(command, "-m", str(model), "--dtype", "float32", "--json", *argv)
    assert done.code == 0, done.err
    return json.loads(done.text)


@pytest.mark.parametrize("put", ["zero", "resample"])
def test_ablation_finds_the_two_heads(model, tmp_path, put):
    """Catches effects of another head than is named."""
    induction, back = looking(model)
    (tmp_path / "text").write_text("hgfedcbaponmlkjihgf")
    argv = ("--with", put, "--seed", "1", "--reference", str(tmp_path / "text"))
    found = answer("ablate", model, *argv, "--target", NEXT, PROMPT)
    assert found["target"]["probability"] > 0.9
    first, second = found["steps"][:2]
    names = [each["parts"][0]["part"] for each in (first, second)]
    # Without what tells it the token before, the induction head is lost.
    assert names == [induction, back] if put == "zero" else {*names} == {induction, back}
    assert first["change"] < -2 and second["change"] < -0.5
    assert abs(found["steps"][2]["change"]) < 0.3 * abs(second["change"])


def test_patching_finds_where_the_letter_is_carried(model):
    """Catches a map that is upside down, or of other positions: the letter is read where it first
    stood, and brought to the end by the induction head.
    """
    induction, _ = looking(model)
    prompts = ("--clean", PROMPT, "--corrupt", PROMPT.replace(NEXT, "n"))
    argv = (*prompts, "--target", NEXT, "--versus", "n")
    heads = answer("patch", model, "--at", "head", *argv)
    last = len(PROMPT) - 1
    for direction in ("denoise", "noise"):
        known = [each for each in heads["patches"] if each["direction"] == direction]
        moved = {
            (f"{each['layer']}.{each['head']}", heads["pairs"][each["pair"]]["clean"]): abs(
                each["normalized"] - (direction == "noise")
            )
            for each in known
        }
        strongest = max(moved, key=lambda place: moved[place])
        assert strongest == (induction, last) and moved[strongest] > 0.5
    stream = answer("patch", model, "--direction", "denoise", *argv)
    shares = {
        (each["layer"], stream["pairs"][each["pair"]]["clean"]): each["normalized"]
        for each in stream["patches"]
    }
    where = PROMPT.index(NEXT)
    assert shares[-1, where] == pytest.approx(1, abs=0.05) and abs(shares[-1, last]) < 0.05
    assert shares[1, last] == pytest.approx(1, abs=0.05) and abs(shares[1, where]) < 0.05
