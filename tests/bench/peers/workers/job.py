"""What a worker is asked for, and how it is timed. Every library does the same work."""

from __future__ import annotations

import dataclasses
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Job:
    """One measurement. kind: decode, prefill, batch, or complete, which is timed from outside.

    model, tokenizer: paths. rows: prompts at once, each of `prompt_tokens`; `text` is completed.
    """

    kind: str
    model: str
    tokenizer: str
    dtype: str
    threads: int
    rows: int
    prompt_tokens: int
    new_tokens: int
    text: str

    def as_json(self) -> str:
        """For the command line."""
        return json.dumps(dataclasses.asdict(self))


class Opened(Protocol):
    """A model that a library opened."""

    def encode(self, text: str) -> list[int]:
        """The ids of a text."""

    def generate(self, prompts: list[list[int]], new_tokens: int) -> list[float]:
        """Generates exactly so many tokens greedily, whatever they are.

        Returns when: seconds of time.perf_counter, the first after the first token, the last
        after the last one. Prompts have one length.
        """


def ids(count: int, first: int) -> list[int]:
    """Token ids without a pattern that a model could know; `first` tells prompts apart."""
    return [300 + (first * 389 + at * 7919) % 40000 for at in range(count)]


def measured(job: Job, model: Opened) -> float:
    """Tokens per second, after a run that warms up, on other ids: prompts may be remembered."""
    prompts = [ids(job.prompt_tokens, row) for row in range(job.rows)]
    others = [ids(job.prompt_tokens, row) for row in range(100, 100 + job.rows)]
    model.generate(others, min(2, job.new_tokens))
    if job.kind == "decode":
        times = model.generate(prompts, job.new_tokens + 1)
        return job.new_tokens / (times[-1] - times[0])
    start = time.perf_counter()
    seconds = model.generate(prompts, job.new_tokens)[-1] - start
    tokens = job.prompt_tokens if job.kind == "prefill" else job.new_tokens
    return job.rows * tokens / seconds


def main(open_model: Callable[[Job], Opened]) -> None:
    """Do the job of the command line, and print what came of it as JSON."""
    job = Job(**json.loads(sys.argv[1]))
    model = open_model(job)
    if job.kind == "complete":
        model.generate([model.encode(job.text)], job.new_tokens)
        return
    print(json.dumps({"tokens_per_second": measured(job, model)}))
