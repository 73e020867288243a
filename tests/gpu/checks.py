"""What has to be the same on a GPU as on the CPU, each as a list of what is not."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import torch

from gptcli.engine.asking.draws import Draws
from gptcli.engine.asking.generate import Generation
from gptcli.engine.asking.prefix import PrefixCache
from gptcli.engine.asking.running_batch import RunningBatch
from gptcli.engine.torch import packed
from gptcli.engine.torch.runner import TorchRunner
from gptcli.engine.torch.step import Capture
from gptcli.types.sampling import Sampling
from tests.gpu.random_model import pack, random_decoder
from tests.opening import load

GOLDENS = Path(__file__).parents[1] / "goldens"
#: A family for each of what may go wrong with positions, masks and states.
CASES = (
    *("gpt2/tied", "llama/tied", "mistral/window", "bloom/tied", "gemma2/capped"),
    *("llama4_text/chunks", "minicpm3/options", "bamba/options", "gemma4_text/told"),
)
GREEDY = Sampling(temperature=0)
BOLD = Sampling(temperature=1.2, top_k=40, top_p=0.9, repeat_penalty=1.1, repeat_last=8)
PROMPTS = ((3, 7, 11, 2, 5), (9, 1, 4))


class Plainly(TorchRunner):
    """The same, whose tokens are drawn in Python."""

    def chain(self, state: object) -> None:
        return None


def texts(runner: TorchRunner, sampling: Sampling, count: int = 16) -> list[list[int]]:
    """Two samples of each of two prompts."""
    prefix, found = PrefixCache(runner), []
    for prompt in PROMPTS:
        draws = Draws(sampling, count, seed=7)
        drawn = [each for step in Generation(prefix, [prompt, prompt], draws) for each in step]
        found += [[each.id for each in drawn if each.sample == i] for i in (0, 1)]
    return found


def together(runner: TorchRunner, count: int = 16) -> list[list[int]]:
    """Greedy texts of the two prompts, in pages."""
    batch = RunningBatch(runner, pages=32)
    asked = [batch.join(prompt, Draws(GREEDY, count)) for prompt in PROMPTS]
    while not batch.idle:
        batch.step()
    return [[drawn.id for step in each for drawn in step] for each in asked]


def texts_differ(device: str, cases: Iterable[str] = CASES) -> Iterator[str]:
    """Greedy texts in float32, alone, in a batch and in pages, against the CPU's."""
    for case in cases:
        cpu = load(GOLDENS / case, device="cpu", dtype="float32")
        there = load(GOLDENS / case, device=device, dtype="float32")
        expected = texts(cpu, GREEDY)
        if texts(there, GREEDY) != expected:
            yield f"{case}: greedy text"
        if together(there) != expected[::2]:
            yield f"{case}: greedy text in pages"


def draws_differ(device: str, capture: Capture | None = None) -> Iterator[str]:
    """Drawn on the device against drawn in Python from the same logits."""
    decoder = random_decoder("tiny", torch.float32, torch.device(device))
    for sampling in (GREEDY, BOLD):
        ways = [texts(kind(decoder, capture=capture), sampling) for kind in (TorchRunner, Plainly)]
        if ways[0] != ways[1]:
            yield f"drawn at temperature {sampling.temperature}"


def packed_differ(device: str) -> Iterator[str]:
    """Packed layers against what they stand for; a kernel that is not there is named."""
    place, dtype = torch.device(device), torch.bfloat16
    for name in packed.KINDS:
        if not packed.is_there(name, place):
            yield f"{name}: no kernel"
            continue
        decoder = pack(random_decoder("tiny", dtype, place, join=False), name)
        for at, layer in decoder.named_modules():
            if not isinstance(layer, packed.Packed):
                continue
            for count in (1, packed.FEW, 40):
                x = torch.randn(count, layer.columns, device=place).to(dtype)
                exact = x.float() @ layer.widened().float().T
                if (layer(x).float() - exact).abs().max() > 0.03 * exact.abs().max():
                    yield f"{name}: {at} of {count} tokens"


def not_recorded(device: str, capture: Capture | None = None) -> Iterator[str]:
    """Steps that run as they are where they should be recorded."""
    decoder = random_decoder("tiny", torch.float32, torch.device(device))
    runner = TorchRunner(decoder, capture=capture)
    state = runner.new_state()
    for token in range(4):
        runner.decode([token], state)
    steps = runner._steps
    step = None if steps is None else steps.of(state)
    if step is None or not step.captured:
        yield "the step of a llama"


CHECKS: dict[str, Callable[[str], Iterator[str]]] = {
    "texts": texts_differ,
    "draws": draws_differ,
    "packed": packed_differ,
    "recorded": not_recorded,
}
