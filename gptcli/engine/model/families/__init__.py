"""One file per family, named as the `model_type` in config.json.

A family states two pure things: `spec(config)`, how config.json becomes a ModelSpec, and
`rules(spec)`, which stored tensor becomes which of ours. `SUPPORTS` says for people which models
those are, and `OTHER_NAMES`, where it is there, which fields have two names. Nothing here imports
torch.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from gptcli.engine.model.config_fields import ConfigFields
from gptcli.engine.model.rules import Rules
from gptcli.engine.model.spec import ModelSpec
from gptcli.formats import json as jsonfile

#: The largest difference of each family's logits from transformers', on the tests' models.
DIFFERENCES = Path(__file__).with_name("differences.json")


#: What stretches rotary positions, as config.json names it.
SCALINGS = ("linear", "dynamic", "llama3", "yarn", "longrope")


@dataclass(frozen=True)
class FamilyFacts:
    """What users are told of a family.

    difference: the largest one between its logits and transformers', see DIFFERENCES.
    """

    name: str
    supports: str
    difference: float


@dataclass(frozen=True)
class Family:
    """A name and its two pure functions.

    other_names: of fields of config.json that have two in transformers (`attribute_map`, or taken
    out of the rest by hand) → those that `spec` reads.
    """

    name: str
    spec: Callable[[ConfigFields], ModelSpec]
    rules: Callable[[ModelSpec], Rules]
    other_names: Mapping[str, str]


#: What is not supported for a reason, which users are told.
NOT_SUPPORTED = dict.fromkeys(
    ("gemma3n", "gemma3n_text"),
    "it keeps several streams at once (AltUp), of which each layer predicts and corrects all",
)


def supported() -> list[str]:
    """Every model_type that can be loaded."""
    return sorted(m.name for m in pkgutil.iter_modules(__path__))


def listing() -> tuple[FamilyFacts, ...]:
    """All families by name."""
    differences = jsonfile.read(DIFFERENCES)
    return tuple(
        FamilyFacts(
            name, importlib.import_module(f"{__name__}.{name}").SUPPORTS, float(differences[name])
        )
        for name in supported()
    )


def family_of(config: ConfigFields) -> Family:
    """The family that config.json names. Raises ModelError listing those there are."""
    name = config.word("model_type")
    if name not in supported():
        if name in NOT_SUPPORTED:
            raise config.bad("model_type", f"{name!r} is not supported: {NOT_SUPPORTED[name]}")
        known = ", ".join(supported())
        raise config.bad("model_type", f"{name!r} is not supported (supported: {known})")
    module = importlib.import_module(f"{__name__}.{name}")
    return Family(name, module.spec, module.rules, getattr(module, "OTHER_NAMES", {}))


def read_spec(config: ConfigFields) -> tuple[Family, ModelSpec]:
    """The family and the spec of a config, after what no family supports has been refused."""
    config.refuse_unless("is_encoder_decoder", False)
    family = family_of(config)
    return family, family.spec(config.renamed(family.other_names))
