"""What the engine's tests share: the golden checkpoints, opened once, and a copy to break."""

from __future__ import annotations

import functools
import json
import shutil
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from gptcli.engine.asking.draws import Draws
from gptcli.engine.asking.generate import Generation
from gptcli.engine.asking.prefix import PrefixCache
from gptcli.engine.model.config_fields import ConfigFields
from gptcli.engine.model.families import family_of, read_spec
from gptcli.engine.model.rules import Rules
from gptcli.engine.model.spec import ModelSpec
from gptcli.engine.torch.runner import TorchRunner
from gptcli.types.sampling import Sampling
from tests.engine.mechanisms import cover, mechanisms, over_time, storing
from tests.opening import load

GOLDENS = Path(__file__).parents[1] / "goldens"
CASES = sorted(str(p.parent.relative_to(GOLDENS)) for p in GOLDENS.glob("*/*/config.json"))


def _specs() -> dict[str, ModelSpec]:
    configs = {case: json.loads((GOLDENS / case / "config.json").read_text()) for case in CASES}
    return {case: read_spec(ConfigFields(case, config))[1] for case, config in configs.items()}


SPECS = _specs()
#: They have every mechanism: what holds for all ways through a model is tested there in every run.
WAYS = cover({case: mechanisms(spec) for case, spec in SPECS.items()})


def rules_of(case: str) -> Rules:
    """How its checkpoint has what becomes a parameter."""
    return family_of(ConfigFields("", {"model_type": case.split("/")[0]})).rules(SPECS[case])


#: They have every way to store a parameter: names are other data in the same places.
STORED = cover({case: storing(rules_of(case)) for case in CASES})


def few_of(cases: Iterable[str], few: Collection[str], *, of: str = "case") -> pytest.MarkDecorator:
    """A test of each: those of few in every run, the others under the marker `families`."""
    others = {case: pytest.param(case, marks=pytest.mark.families) for case in cases}
    return pytest.mark.parametrize(of, [c if c in few else others[c] for c in others])


#: A test of the golden checkpoints, of which WAYS are enough for every run.
every_way = few_of(CASES, WAYS)
#: They have every way in which tokens come to one another.
STATES = cover({case: over_time(spec) for case, spec in SPECS.items()})
#: A test of what comes before a token: of states, chunks, rows and positions.
every_state = few_of(CASES, STATES)


def by_rules(families: Iterable[str]) -> list[str]:
    """One family for each way to name and cut tensors: Llama of those that are stored as it."""
    found = {}
    for name in sorted(families, key=lambda name: (name == "llama", name)):
        found[family_of(ConfigFields("", {"model_type": name})).rules] = name
    return sorted(found.values())


@functools.cache
def runner_of(case: str, dtype: str = "float32") -> TorchRunner:
    """The golden checkpoint, opened once; no test changes it."""
    return load(GOLDENS / case, device="cpu", dtype=dtype)


@functools.cache
def exact_runner_of(case: str) -> TorchRunner:
    """The same in float64, but for what is computed in float32 whatever the weights are."""
    opened = load(GOLDENS / case, device="cpu", dtype="float32")
    return TorchRunner(opened.decoder.double(), opened.limit)


@functools.cache
def rows_of(case: str) -> tuple[tuple[int, ...], ...]:
    """The golden rows of ids."""
    return tuple(map(tuple, load_file(GOLDENS / case / "golden.safetensors")["ids"].tolist()))


@functools.cache
def whole(case: str, dtype: str = "float32") -> tuple[torch.Tensor, ...]:
    """Logits after every token of each golden row, each row in one piece and by itself."""
    runner = runner_of(case, dtype)
    return tuple(runner.all_logits(row, runner.new_state()) for row in rows_of(case))


@functools.cache
def golden_of(case: str) -> dict[str, torch.Tensor]:
    """What transformers computed for a golden checkpoint."""
    return load_file(GOLDENS / case / "golden.safetensors")


@functools.cache
def difference(case: str, *, short: bool = False) -> float:
    """The largest difference from transformers at any position, or for the short text alone.

    The context in use is the length of the text, as transformers takes it.
    """
    expected = golden_of(case)["short_logits" if short else "logits"]
    time = expected.size(1)
    runner = load(GOLDENS / case, device="cpu", dtype="float32", ctx_size=time)
    rows = golden_of(case)["ids"][:, :time].tolist()
    ours = [runner.all_logits(row, runner.new_state()) for row in rows]
    return (torch.stack(ours) - expected).abs().max().item()


class Recorder:
    """A probe that keeps a copy of everything that it is shown, or of some points only."""

    def __init__(self, positions: range, points: tuple[str, ...] = ()) -> None:
        self.positions = positions
        self.points = points
        self.shown: list[tuple[str, int, int, Any]] = []

    def wants(self, point: str, layer: int) -> bool:
        return not self.points or point in self.points

    def __call__(self, point: str, layer: int, array: Any, start: int) -> None:
        if self.wants(point, layer):
            kept = array.clone() if isinstance(array, torch.Tensor) else array.copy()
            self.shown.append((point, layer, start, kept))

    @property
    def by_place(self) -> dict[tuple[str, int], Any]:
        """What was last shown of each point and layer."""
        return {(point, layer): array for point, layer, _, array in self.shown}


def drawn(
    prefix: PrefixCache,
    prompts: Sequence[Sequence[int]],
    sampling: Sampling,
    *,
    end_ids: Collection[int] = (),
    **flags: Any,
) -> Generation:
    """Samples of prompts, with what `prefix` keeps."""
    return Generation(prefix, prompts, Draws(sampling, end_ids=frozenset(end_ids), **flags))


def generate(
    runner: TorchRunner,
    prompt: Sequence[int],
    sampling: Sampling,
    *,
    samples: int = 1,
    **flags: Any,
) -> Generation:
    """Samples of one prompt, with nothing kept from before."""
    return drawn(PrefixCache(runner), [prompt] * samples, sampling, **flags)


def copy_case(
    case: str, to: Path, change: Callable[[dict[str, Any]], object] | None = None
) -> Path:
    """A copy of a golden model directory, its config.json changed by `change`."""
    shutil.copytree(GOLDENS / case, to, ignore=shutil.ignore_patterns("golden.*"))
    if change is not None:
        config = json.loads((to / "config.json").read_text())
        change(config)
        (to / "config.json").write_text(json.dumps(config))
    return to
