"""Measuring a model with a clock that ticks when it is looked at: what ran between two looks."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from gptcli.backends.local import bench as module
from gptcli.backends.local import stopwatch
from gptcli.backends.local.open_model import OpenModel
from gptcli.engine.model.mixers import state_numbers
from gptcli.errors import ContextError, ResourceError
from gptcli.types.bench import BATCH_NEW, BATCH_PROMPT, BenchRequest, Rounds
from gptcli.types.compute import Compute
from gptcli.types.events import Notice, Progress
from gptcli.types.models import ModelDir
from tests.conftest import with_context
from tests.engine.cpu.helpers import needs_kernels
from tests.tasks import told

READ = 1 << 16


@pytest.fixture(params=["auto", "none"])
def features(request) -> str:
    """The same through the kernels and through torch."""
    if request.param == "auto" and needs_kernels.args[0]:
        pytest.skip("the kernels were not built")
    return request.param


@pytest.fixture
def model(tiny_model: Path, tmp_path: Path, features: str, monkeypatch) -> OpenModel:
    """A context that has room for a batch."""
    monkeypatch.setattr(stopwatch, "READ", READ)
    return opened(with_context(tiny_model, tmp_path / "roomy", 200, None), cpu_features=features)


def opened(directory: Path, **flags) -> OpenModel:
    return OpenModel(ModelDir("tiny", directory, "test"), Compute(device="cpu", threads=1, **flags))


class Ticks:
    """A clock that is a second later at every look, and what the runner ran between two looks."""

    def __init__(self, runner, monkeypatch) -> None:
        self.spans: list[list[tuple[str, list[int], list[int]]]] = [[]]
        self._seconds: Iterator[int] = itertools.count()
        for name in ("prefill", "decode"):
            self._spy(runner, name, monkeypatch)

    def _spy(self, runner, name, monkeypatch) -> None:
        real = getattr(runner, name)

        def spied(rows, cache, **more):
            counts = [len(row) for row in rows] if name == "prefill" else [1] * len(rows)
            self.spans[-1].append((name, counts, list(cache.lengths)))
            return real(rows, cache, **more)

        monkeypatch.setattr(runner, name, spied)

    def __call__(self) -> float:
        self.spans.append([])
        return float(next(self._seconds))


def test_each_figure_is_what_ran_by_the_time_it_took(model, monkeypatch):
    """Catches tokens that are counted and not run, or run outside of the clock, or reused."""
    ticks = Ticks(model.runner, monkeypatch)
    request = BenchRequest(
        ("prefill", "decode", "batch"),
        depths=(16, 40),
        prompt_tokens=50,
        new_tokens=6,
        batch=3,
        rounds=2,
    )
    found = told(module.answer(model, request, ticks))[1]
    assert found.prefill == Rounds((50.0, 50.0))
    assert [each.depth for each in found.decode] == [16, 40]
    assert all(each.rate == Rounds((6.0, 6.0)) for each in found.decode)
    assert found.batch == Rounds((3.0 * BATCH_NEW,) * 2)
    assert found.bandwidth == Rounds((float(stopwatch.PASSES * READ),) * 2)
    # The clock is looked at twice for each of five measures, in a round of warming up and two more.
    inside = ticks.spans[1::2]
    assert len(inside) == 3 * 5
    for first in (5, 10):
        prefill, shallow, deep, batch, bandwidth = inside[first : first + 5]
        assert prefill == [("prefill", [50], [0])]
        assert shallow == [("decode", [1], [16 + step]) for step in range(6)]
        assert deep == [("decode", [1], [40 + step]) for step in range(6)]
        (begin, *steps) = batch
        assert begin == ("prefill", [BATCH_PROMPT] * 3, [0] * 3)
        assert [counts for _, counts, _ in steps] == [[1, 1, 1]] * (BATCH_NEW - 1)
        assert bandwidth == []


def test_only_what_is_asked_for_is_run(model, monkeypatch):
    """Catches a measure that runs although nobody asked for it."""
    ticks = Ticks(model.runner, monkeypatch)
    events, found = told(module.answer(model, BenchRequest(("batch",), batch=2, rounds=1), ticks))
    assert found.batch and not (found.prefill or found.decode or found.bandwidth)
    assert events == [Progress("batch", 0, 1), Progress("batch", 1, 1)]
    assert len(ticks.spans) == 5
    events, found = told(module.answer(model, BenchRequest(("start", "memory")), ticks))
    assert events == [] and len(ticks.spans) == 5
    assert found.weight_bytes == model.runner.facts.weight_bytes
    assert found.source.model == "tiny" and found.threads == 1
    assert (found.kernels is None) == (model.runner.facts.instructions is None)


def test_the_share_is_bytes_by_seconds_by_bandwidth(model, monkeypatch):
    """Catches a share that leaves out the KV cache, or takes tokens for seconds."""
    request = BenchRequest(("decode",), depths=(20,), new_tokens=4, rounds=1)
    found = told(module.answer(model, request, Ticks(model.runner, monkeypatch)))[1]
    (decode,) = found.decode
    spec = model.runner.spec
    # The tokens stand at 20 … 23 and see 21 … 24 positions: 22.5 on average.
    cache = 2 * spec.layers * spec.kv_heads * spec.head_dim * model.runner.facts.itemsize * 22.5
    assert decode.bytes == model.runner.facts.weight_bytes + cache
    assert found.share(decode) == decode.bytes * 4 / (stopwatch.PASSES * READ)


def test_a_hybrid_reads_its_states(hybrid_model, monkeypatch):
    """Catches a share that takes states for nothing, or layers without keys for some with."""
    model = OpenModel(ModelDir("tiny", hybrid_model, "test"), Compute(device="cpu"))
    request = BenchRequest(("decode",), depths=(20,), new_tokens=4, rounds=1)
    found = told(module.answer(model, request, Ticks(model.runner, monkeypatch)))[1]
    spec, facts = model.runner.spec, model.runner.facts
    cache = 2 * spec.kv_heads * spec.head_dim * facts.itemsize * 22.5
    states = sum(4 * state_numbers(each.mixer) for each in spec.each_layer if each.mixer)
    assert found.state_bytes == states > 0
    assert found.decode[0].bytes == facts.weight_bytes + cache + states


@pytest.mark.parametrize(
    ("request_", "parts"),
    [
        (BenchRequest(depths=(16, 190), new_tokens=11), ("--depth", "201", "200")),
        (BenchRequest(depths=(16,), prompt_tokens=200, new_tokens=9), ("--prompt-tokens", "201")),
        (BenchRequest(new_tokens=185, prompt_tokens=9), ("--depth", "201")),
    ],
)
def test_what_does_not_fit_is_told_before_anything_runs(model, request_, parts):
    """Catches minutes of measuring that end in an error, and an error with one count only."""

    def clock() -> float:
        raise AssertionError("the clock was looked at")

    with pytest.raises(ContextError) as error:
        told(module.answer(model, request_, clock))
    assert all(part in str(error.value) for part in (*parts, "context of 200"))


def test_depths_that_nobody_asked_for_are_left_out_and_told(model, monkeypatch):
    """Catches a bench that cannot run on a model of a short context, or that is silent there."""
    request = BenchRequest(("decode",), new_tokens=2, rounds=1)
    events, found = told(module.answer(model, request, Ticks(model.runner, monkeypatch)))
    assert [each.depth for each in found.decode] == [16]
    (notice,) = (event for event in events if isinstance(event, Notice))
    assert "1000 is left out" in notice.text and "context of 200" in notice.text


def test_a_batch_must_fit(tiny_model, features):
    """Catches a batch whose texts are cut short where the context ends."""
    with pytest.raises(ContextError, match=r"--measure batch.*80.*context of 64"):
        told(
            module.answer(
                opened(tiny_model, cpu_features=features), BenchRequest(("batch",)), float
            )
        )


def test_caches_must_fit_into_memory(model, monkeypatch):
    """Catches a machine that is brought to its knees by a batch."""
    monkeypatch.setattr("gptcli.backends.local.memory.available_bytes", lambda device: 100_000)
    with pytest.raises(ResourceError, match=r"batch: KV caches need .* 100 kB are free"):
        told(module.answer(model, BenchRequest(("batch",), batch=4096), float))


def test_rounds_tell_the_middle_and_the_ends():
    """Catches a mean in the place of the median."""
    found = Rounds((9.0, 1.0, 2.0))
    assert (found.median, found.least, found.most) == (2.0, 1.0, 9.0)
