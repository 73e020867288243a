"""vLLM's build for CPUs."""

from __future__ import annotations

import os
import time

from tests.bench.peers.workers.job import Job, main

#: Read when it is imported: the engine in this process, and room for a batch's keys and values.
os.environ |= {
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_LOGGING_LEVEL": "ERROR",
    "HF_HUB_OFFLINE": "1",
}


class Model:
    """A checkpoint directory in the dtype that the job names, a core a thread."""

    def __init__(self, job: Job) -> None:
        cores = sorted(os.sched_getaffinity(0))[: job.threads]
        os.environ["VLLM_CPU_OMP_THREADS_BIND"] = ",".join(map(str, cores))
        import vllm

        model = vllm.LLM(
            job.model,
            dtype=job.dtype,
            # The token before those that are timed, and one of room.
            max_model_len=job.prompt_tokens + job.new_tokens + 2,
            enable_prefix_caching=False,
            # Compiling takes minutes.
            enforce_eager=True,
        )
        self._engine, self._tokenizer = model.llm_engine, model.get_tokenizer()
        self._params, self._asked = vllm.SamplingParams, 0

    def encode(self, text: str) -> list[int]:
        found: list[int] = self._tokenizer.encode(text)
        return found

    def generate(self, prompts: list[list[int]], new_tokens: int) -> list[float]:
        # Nothing ends a text early, and no text is made.
        wish = self._params(temperature=0, max_tokens=new_tokens, ignore_eos=True, detokenize=False)
        for prompt in prompts:
            self._engine.add_request(str(self._asked), {"prompt_token_ids": prompt}, wish)
            self._asked += 1
        times: list[float] = []
        while self._engine.has_unfinished_requests():
            if self._engine.step():
                times.append(time.perf_counter())
        return times


if __name__ == "__main__":
    main(Model)
