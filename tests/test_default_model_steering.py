"""The default model, steered: greedy texts are those of llama.cpp with the same control vector.

What it says was recorded once, see tests/steering/README.md, and `pytest -m servers` asks it again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import pytest

from gptcli.backends.local import LocalBackend
from gptcli.backends.local.open_model import OpenModel
from gptcli.types.batch import Asked, BatchRequest, Told
from gptcli.types.completion import Chunk, Request
from gptcli.types.compute import Compute
from gptcli.types.models import ModelDir, SteerRef
from gptcli.types.sampling import SamplingWish

HERE = Path(__file__).parent / "steering"
RECORDED = [json.loads(line) for line in (HERE / "llama_cpp.jsonl").read_text().splitlines()]
TOKENS = 16


class Queue:
    """Questions that are all there."""

    def __init__(self, questions: Iterable[tuple[int, Request]]) -> None:
        self._questions = iter(questions)

    def take(self, *, wait: bool, room: bool = True) -> Asked | None:
        return next((Asked(*each) for each in self._questions), None) if room else None


@pytest.mark.model
def test_steered_texts_are_those_of_llama_cpp(
    default_model: Path, shared_data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Catches a direction behind the layer before or after its own, a scale, the ends of a range,
    tokens that are not steered, and a text of a batch that is not the one alone."""
    # Where packed weights are kept between runs.
    monkeypatch.setenv("GPTCLI_DATA_DIR", str(shared_data_dir))
    compute = Compute(
        dtype="float32", device="cpu", steer=(SteerRef(HERE / "joy.gguf", 0.4, 10, 18),)
    )
    model = OpenModel(ModelDir("smollm2", default_model, "a test"), compute)
    backend = LocalBackend(model)
    wish = SamplingWish(temperature=0.0, repeat_penalty=1.0)
    asked = [
        Request(row["prompt"], sampling=wish, max_new_tokens=TOKENS, seed=1) for row in RECORDED
    ]
    texts = [""] * len(asked)
    for event in backend.answer(BatchRequest(Queue(enumerate(asked)))):
        if isinstance(event, Told) and isinstance(event.part, Chunk):
            texts[event.key] += event.part.text
    assert texts == [row["text"] for row in RECORDED]
    alone = [each for each in backend.answer(asked[0]) if isinstance(each, Chunk)]
    assert "".join(each.text for each in alone) == RECORDED[0]["text"]
    backend.close()
