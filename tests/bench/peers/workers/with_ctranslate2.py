"""ctranslate2."""

from __future__ import annotations

import time

import ctranslate2
from tokenizers import Tokenizer

from tests.bench.peers.workers.job import Job, main


class Model:
    """A converted directory, computed in the dtype that it is stored in."""

    def __init__(self, job: Job) -> None:
        self._tokenizer = Tokenizer.from_file(job.tokenizer)
        self._model = ctranslate2.Generator(
            job.model,
            device="cpu",
            compute_type=job.dtype,
            inter_threads=1,
            intra_threads=job.threads,
        )

    def encode(self, text: str) -> list[int]:
        found: list[int] = self._tokenizer.encode(text).ids
        return found

    def generate(self, prompts: list[list[int]], new_tokens: int) -> list[float]:
        times: list[float] = []
        self._model.generate_batch(
            [[self._tokenizer.id_to_token(id) for id in prompt] for prompt in prompts],
            max_length=new_tokens,
            # Nothing ends a text early.
            min_length=new_tokens,
            sampling_topk=1,
            include_prompt_in_result=False,
            callback=lambda step: times.append(time.perf_counter()),
        )
        return times


if __name__ == "__main__":
    main(Model)
