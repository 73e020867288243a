"""transformers, in torch."""

from __future__ import annotations

import time

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.generation.streamers import BaseStreamer

from tests.bench.peers.workers.job import Job, main


class Times(BaseStreamer):
    """When each token came; the first call is of the prompt."""

    def __init__(self) -> None:
        self.calls: list[float] = []

    def put(self, value: torch.Tensor) -> None:
        self.calls.append(time.perf_counter())

    def end(self) -> None:
        pass


class Model:
    """A checkpoint directory in the dtype that the job names."""

    def __init__(self, job: Job) -> None:
        torch.set_num_threads(job.threads)
        self._path = job.model
        self._model = AutoModelForCausalLM.from_pretrained(
            job.model, dtype=getattr(torch, job.dtype)
        ).eval()
        # Nothing ends a text early, and nothing is drawn.
        self._model.generation_config.eos_token_id = None

    def encode(self, text: str) -> list[int]:
        found: list[int] = AutoTokenizer.from_pretrained(self._path)(text)["input_ids"]
        return found

    def generate(self, prompts: list[list[int]], new_tokens: int) -> list[float]:
        times = Times()
        inputs = torch.tensor(prompts)
        with torch.inference_mode():
            self._model.generate(
                inputs,
                attention_mask=torch.ones_like(inputs),
                do_sample=False,
                max_new_tokens=new_tokens,
                pad_token_id=0,
                # A streamer takes one text only.
                streamer=times if len(prompts) == 1 else None,
            )
        done = time.perf_counter()
        return times.calls[1:] or [done]


if __name__ == "__main__":
    main(Model)
