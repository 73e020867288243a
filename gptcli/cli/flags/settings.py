"""Which groups of options hold settings, and what is stored of them."""

from __future__ import annotations

from typing import Any, TypeVar

from gptcli import config
from gptcli.cli.environment import Environment
from gptcli.cli.flags.generation import Generation
from gptcli.cli.flags.log import Logging
from gptcli.config import options_of
from gptcli.types.compute import Compute
from gptcli.types.prompt_cache import PromptCache
from gptcli.types.sampling import SamplingWish

#: In the order in which the manual lists them.
GROUPS: tuple[type, ...] = (Compute, Generation, SamplingWish, PromptCache, Logging)

T = TypeVar("T")


def stored(environment: Environment) -> config.Stored:
    """What the user's file and the environment say. Raises the errors of `config.load`."""
    return config.load(GROUPS, environment.variables)


def stored_group(environment: Environment, group: type[T]) -> T:
    """A group as it is where no flag was given."""
    found: dict[str, Any] = dict(stored(environment))
    return group(**{f.name: found[f.name] for f, _ in options_of(group) if f.name in found})


def said_by_environment(environment: Environment) -> frozenset[str]:
    """The settings that the environment names, which outweigh those of a session."""
    return frozenset(n for n in setting_names() if environment.variables.get(config.variable_of(n)))


def setting_names() -> list[str]:
    """All settings, by their fields' names."""
    return [f.name for group in GROUPS for f, said in options_of(group) if said.setting]
