"""A directory described and opened in one go, as tests want it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gptcli import models
from gptcli.engine.describe import describe
from gptcli.engine.model.spec import ModelSpec
from gptcli.formats import model_files
from gptcli.models import ModelFacts
from gptcli.types.models import AdapterRef, ModelDir

if TYPE_CHECKING:
    from gptcli.engine.cpu.packing.parameters import Parameters
    from gptcli.engine.cpu.run.runner import KernelRunner
    from gptcli.engine.runner import Runner
    from gptcli.engine.torch.plan import Plan
    from gptcli.engine.torch.runner import TorchRunner


def facts_of(model: ModelDir) -> ModelFacts:
    """What `models show` tells of a model."""
    return models.facts_of(model, model_files.read(model.path))


def spec_of(directory: Path) -> ModelSpec:
    return describe(directory).spec


def load(directory: Path, **flags: Any) -> TorchRunner:
    """By torch, whatever the kernels cover."""
    from gptcli.engine.torch import loader

    return loader.load(describe(directory), **flags)


def plan(directory: Path, adapters: Sequence[AdapterRef] = ()) -> Plan:
    from gptcli.engine.torch import plan as planning

    return planning.plan(describe(directory), adapters)


def open_runner(directory: Path, **flags: Any) -> Runner:
    """By the kernels where they can, else by torch."""
    from gptcli.engine import open as choosing

    return choosing.open_runner(describe(directory), **flags)


def open_kernels(directory: Path, *given: Any, **flags: Any) -> KernelRunner | None:
    """By the kernels, None where they cannot."""
    from gptcli.engine.cpu import opening

    return opening.open_kernels(describe(directory), *given, **flags)


def parameters(directory: Path, *, exact: bool = False) -> Parameters:
    """The weights as numpy reads them."""
    from gptcli.engine.cpu.packing.parameters import Parameters

    return Parameters(describe(directory), exact=exact)
