"""OpenVINO GenAI."""

from __future__ import annotations

import time

import numpy as np
import openvino
import openvino_genai
from tokenizers import Tokenizer

from tests.bench.peers.workers.job import Job, main


class Times(openvino_genai.StreamerBase):  # type: ignore[misc]
    """When each token came."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[float] = []

    def write(self, token: int) -> openvino_genai.StreamingStatus:
        self.calls.append(time.perf_counter())
        return openvino_genai.StreamingStatus.RUNNING

    def end(self) -> None:
        pass


class Model:
    """An exported directory. It computes in bfloat16 only where the job says so."""

    def __init__(self, job: Job) -> None:
        self._tokenizer = Tokenizer.from_file(job.tokenizer)
        self._model = openvino_genai.LLMPipeline(
            job.model,
            "CPU",
            INFERENCE_NUM_THREADS=job.threads,
            INFERENCE_PRECISION_HINT="f32" if job.dtype == "float32" else "bf16",
        )

    def encode(self, text: str) -> list[int]:
        found: list[int] = self._tokenizer.encode(text).ids
        return found

    def generate(self, prompts: list[list[int]], new_tokens: int) -> list[float]:
        array = np.array(prompts, np.int64)
        inputs = openvino_genai.TokenizedInputs(
            openvino.Tensor(array), openvino.Tensor(np.ones_like(array))
        )
        config = openvino_genai.GenerationConfig()
        config.max_new_tokens = config.min_new_tokens = new_tokens
        config.ignore_eos = True
        config.do_sample = False
        # A streamer takes one text only.
        times = Times() if len(prompts) == 1 else None
        self._model.generate(inputs, config, times)
        done = time.perf_counter()
        return times.calls if times is not None and times.calls else [done]


if __name__ == "__main__":
    main(Model)
