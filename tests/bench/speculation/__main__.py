"""Tokens per second with drafts and without: `python -m tests.bench.speculation`.

Editing code, correcting a text and filling JSON from a passage, which copy much of their prompts,
and prose, which copies nothing: drawn at a high temperature as well, where nothing repeats itself.
Rounds with and without take turns in one process. Prints a line for each round and the medians of
the ratios, and a JSON line last.
"""

from __future__ import annotations

import argparse
import json
import statistics
from dataclasses import dataclass
from pathlib import Path

from gptcli.backends import Backend, open_backend
from gptcli.types.completion import Chunk, Request, Usage
from gptcli.types.compute import Compute
from gptcli.types.sampling import SamplingWish
from tests.bench.peers.quiet import watch
from tests.tasks import ended


@dataclass(frozen=True)
class Task:
    """A prompt, which is a file here, and how it is gone on with."""

    name: str
    file: str
    new_tokens: int
    temperature: float = 0.0


TASKS = (
    Task("code", "code.txt", 200),
    Task("correction", "correction.txt", 180),
    Task("json", "json.txt", 140),
    Task("prose", "prose.txt", 100),
    Task("prose, warm", "prose.txt", 300, 1.0),
)


def written(backend: Backend, task: Task, seed: int) -> tuple[str, Usage]:
    """The text, and what it took."""
    prompt = (Path(__file__).parent / task.file).read_text().removesuffix("\n")
    request = Request(
        prompt,
        SamplingWish(temperature=task.temperature),
        max_new_tokens=task.new_tokens,
        seed=seed,
    )
    text, usage = "", None
    for event in backend.answer(request):
        if isinstance(event, Chunk):
            text += event.text
        elif isinstance(event, Usage):
            usage = event
    assert usage is not None
    return text, usage


def rate(usage: Usage) -> float:
    """Tokens per second after the first."""
    return ((usage.completion_tokens or 1) - 1) / usage.decode_seconds


def main() -> None:
    """Interleaved rounds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="smollm2")
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tasks", default=",".join(task.name for task in TASKS).replace(", ", " "))
    given = parser.parse_args()
    compute = {"model": given.model, "dtype": given.dtype}
    without, with_drafts = (
        ended(open_backend(Compute(**compute, speculate=each))) for each in ("off", "auto")
    )
    chosen = [task for task in TASKS if task.name.replace(", ", " ") in given.tasks.split(",")]
    for backend in (without, with_drafts):
        written(backend, chosen[0], 0)  # also brings the weights in
    rounds: dict[str, list[dict[str, float]]] = {task.name: [] for task in chosen}
    heads = "round", "task", "without", "with", "ratio", "drafted", "kept", "cores of others"
    print("{:>5}  {:<12} {:>8} {:>8} {:>6} {:>8} {:>5}  {}".format(*heads))
    for number in range(1, given.rounds + 1):
        for task in chosen:
            before = watch()
            expected, slow = written(without, task, number)
            text, fast = written(with_drafts, task, number)
            after = watch()
            assert text == expected, "drafts changed the text"
            assert fast.drafts is not None
            others = before.others(after) if before and after else None
            one, other, drafts = rate(slow), rate(fast), fast.drafts
            found = {"without": one, "with": other, "ratio": other / one}
            rounds[task.name].append(found | {"drafted": drafts.drafted, "kept": drafts.kept})
            busy = "" if others is None else f"{others:.1f}"
            print(
                f"{number:>5}  {task.name:<12} {one:>8.1f} {other:>8.1f} {other / one:>6.2f}"
                f" {drafts.drafted:>8} {drafts.kept:>5}  {busy}",
                flush=True,
            )
    medians = {
        name: statistics.median(each["ratio"] for each in found) for name, found in rounds.items()
    }
    for name, ratio in medians.items():
        print(f"{name}: {ratio:.2f} ×")
    print(json.dumps({**vars(given), "median_ratios": medians, "rounds": rounds}))


if __name__ == "__main__":
    main()
