"""One file per family, named as the `model_type` in config.json.

A family states two pure things: `spec(config)`, how config.json becomes a ModelSpec, and
`rules(spec)`, which stored tensor becomes which of ours. `SUPPORTS` says for people which models
those are; where they are there, `RUNS` says that torch alone runs it, and `OTHER_NAMES` which
fields have two names. Nothing here imports torch.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Callable, Mapping
from pathlib import Path

from gptcli.engine.model.config_fields import ConfigFields
from gptcli.engine.model.experts import Experts
from gptcli.engine.model.not_supported import NOT_SUPPORTED
from gptcli.engine.model.rules import Rules
from gptcli.engine.model.spec import LayerSpec, ModelSpec, NormSpec
from gptcli.formats import json as jsonfile
from gptcli.plain import dataclass
from gptcli.types.families import FamilyFacts

#: The largest difference of each family's logits from transformers', on the tests' models.
DIFFERENCES = Path(__file__).with_name("differences.json")


#: Types that repositories with code of their own have, and whose they are.
OTHER_TYPES = {"kimi_k2": "deepseek_v3"}
#: What stretches rotary positions, as config.json names it.
SCALINGS = ("linear", "dynamic", "llama3", "yarn", "longrope")

#: Of no model: what a family leaves out of checkpoints does not depend on sizes.
_ANY = ModelSpec(
    width=1,
    heads=1,
    kv_heads=1,
    head_dim=1,
    hidden=1,
    vocab=1,
    context=1,
    each_layer=(LayerSpec(mixture=True),),
    norm=NormSpec("rmsnorm", 1e-5),
    activation="silu",
    gated=True,
    tied=True,
    experts=Experts(1, 1, 1, normalised=True),
)


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


@functools.cache
def _names() -> tuple[str, ...]:
    return tuple(sorted(m.name for m in pkgutil.iter_modules(__path__)))


def supported() -> list[str]:
    """Every model_type that can be loaded."""
    return list(_names())


def listing() -> tuple[FamilyFacts, ...]:
    """All families by name."""
    differences = jsonfile.read(DIFFERENCES)
    return tuple(
        FamilyFacts(
            name,
            (module := importlib.import_module(f"{__name__}.{name}")).SUPPORTS,
            float(differences[name]),
            getattr(module, "RUNS", ("kernels", "torch")),
            tuple(each.what for each in module.rules(_ANY).beside),
        )
        for name in supported()
    )


def family_of(config: ConfigFields) -> Family:
    """The family that config.json names. Raises ModelError listing those there are."""
    name = config.word("model_type")
    name = OTHER_TYPES.get(name, name)
    if name not in supported():
        if name in NOT_SUPPORTED:
            raise config.bad("model_type", f"{name!r} is not supported: {NOT_SUPPORTED[name]}")
        known = ", ".join(supported())
        raise config.bad("model_type", f"{name!r} is not supported (supported: {known})")
    module = importlib.import_module(f"{__name__}.{name}")
    return Family(name, module.spec, module.rules, getattr(module, "OTHER_NAMES", {}))


def read_spec(config: ConfigFields) -> tuple[Family, ModelSpec]:
    """The family and the spec of a config, after what no family supports has been refused."""
    family = family_of(config)
    config.refuse_unless("is_encoder_decoder", False)
    return family, family.spec(config.renamed(family.other_names))
