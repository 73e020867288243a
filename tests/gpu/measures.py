"""How long things take where a runner computes, in the same run as what memory gives there."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch

from gptcli.engine.asking.draws import Draws
from gptcli.engine.asking.generate import Generation
from gptcli.engine.asking.prefix import PrefixCache
from gptcli.engine.asking.running_batch import RunningBatch
from gptcli.engine.host import traffic
from gptcli.engine.torch.runner import TorchRunner
from gptcli.types.sampling import Sampling

GREEDY = Sampling(temperature=0)
#: Tokens that stand before those that are timed, and those by which all is ready.
DEPTH, WARM = 16, 8


def bandwidth(runner: TorchRunner, size: int, rounds: int = 7) -> float:
    """Bytes a second that reading memory gives, the median."""
    read = runner.memory_reader(size)
    read()
    return size / statistics.median(_seconds(read) for _ in range(rounds))


def decode_rate(runner: TorchRunner, tokens: int) -> float:
    """Tokens a second of one greedy text, all that Python does for it included."""
    prompt = [1 + at % 50 for at in range(DEPTH)]
    steps = iter(Generation(PrefixCache(runner), [prompt], Draws(GREEDY, WARM + tokens)))
    for _ in range(WARM):
        next(steps)
    runner.wait()
    return tokens / _seconds(lambda: [next(steps) for _ in range(tokens)])


def batch_rate(runner: TorchRunner, rows: int, tokens: int) -> float:
    """Tokens a second of so many rows in pages, together."""
    batch = RunningBatch(runner, pages=4 * rows, most=rows)
    asked = [batch.join([1 + row, 2, 3], Draws(GREEDY, WARM + tokens)) for row in range(rows)]
    for _ in range(WARM):
        batch.step()
    runner.wait()
    took = _seconds(lambda: [batch.step() for _ in range(tokens)])
    for each in asked:
        each.close()
    return rows * tokens / took


def ready_seconds(runner: Callable[[], TorchRunner]) -> float:
    """From weights in their place until tokens come at their pace: a prompt, and the recording."""

    def begin() -> None:
        made = runner()
        draws = Draws(GREEDY, WARM)
        list(Generation(PrefixCache(made), [list(range(1, DEPTH + 1))], draws))
        made.wait()

    return _seconds(begin)


def share(runner: TorchRunner, rate: float, memory: float, tokens: int) -> float:
    """Of what memory gives, what decoding reads: weights, and keys and values."""
    facts = runner.facts
    cache = traffic.cache_bytes(runner.spec, facts.itemsize, DEPTH + WARM, tokens)
    return rate * (facts.weight_bytes + cache) / memory


def transformers_rate(shape: dict, device: torch.device, dtype: torch.dtype, tokens: int) -> float:
    """Tokens a second of transformers with its static cache; what it compiles is not counted."""
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(**{key: value for key, value in shape.items() if key != "model_type"})
    with torch.device(device):
        held = torch.get_default_dtype()
        torch.set_default_dtype(dtype)
        try:
            model = LlamaForCausalLM(config).eval()
        finally:
            torch.set_default_dtype(held)
    ids = torch.arange(1, DEPTH + 1, device=device)[None]

    def generate(count: int) -> float:
        wait = torch.cuda.synchronize if device.type == "cuda" else lambda: None

        def run() -> None:
            model.generate(
                ids,
                attention_mask=torch.ones_like(ids),
                do_sample=False,
                min_new_tokens=count,
                max_new_tokens=count,
                cache_implementation="static",
                pad_token_id=0,
            )
            wait()

        return _seconds(run)

    with torch.inference_mode():
        # Of the same length, so that its cache is made once: what is compiled stays.
        generate(WARM + tokens)
        whole = statistics.median(generate(WARM + tokens) for _ in range(3))
        begin = statistics.median(generate(WARM) for _ in range(3))
    return tokens / max(whole - begin, 1e-9)


def _seconds(run: Callable[[], object]) -> float:
    begun = time.perf_counter()
    run()
    return time.perf_counter() - begun
