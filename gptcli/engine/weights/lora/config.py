"""adapter_config.json: which modules an adapter changes, with what rank and what scale."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gptcli.engine.model.config_fields import ConfigFields
from gptcli.engine.model.patterns import Budget, Pattern
from gptcli.errors import ModelError
from gptcli.formats import json as jsonfile

NAME = "adapter_config.json"
#: What was of use in training only, or says nothing that the stored tensors do not.
_HISTORY = (
    "auto_mapping",
    "base_model_name_or_path",
    "eva_config",
    "fan_in_fan_out",
    "inference_mode",
    "lora_dropout",
    "megatron_core",
    "peft_version",
    "qalora_group_size",
    "revision",
)
_KNOWN = (
    "alpha_pattern",
    "bias",
    "exclude_modules",
    "init_lora_weights",
    "layers_pattern",
    "layers_to_transform",
    "lora_alpha",
    "modules_to_save",
    "peft_type",
    "r",
    "rank_pattern",
    "target_modules",
    "task_type",
    "use_rslora",
)
#: Of a module's name, far more than any has.
_MOST_PARTS = 32
#: Other ways to begin change the base weights as well, which an adapter then does not fit.
_INITS = (True, False, "gaussian", "orthogonal", "eva")


@dataclass(frozen=True)
class AdapterConfig:
    """What an adapter says of itself. Module names are those of transformers' model."""

    fields: ConfigFields
    rank: int
    alpha: float
    rslora: bool
    bias: str
    saved: frozenset[str]
    ranks: tuple[tuple[Pattern, int], ...]
    alphas: tuple[tuple[Pattern, float], ...]
    targets: frozenset[str] | Pattern | None
    excluded: frozenset[str] | Pattern
    layers: tuple[int, ...]
    layer_patterns: tuple[Pattern, ...]

    def rank_of(self, module: str) -> int:
        """The rank of a module's update."""
        return next((r for pattern, r in self.ranks if pattern.is_whole(module)), self.rank)

    def scale_of(self, module: str) -> float:
        """What a module's update is multiplied by: α / r, or with rslora α / √r."""
        alpha = next((a for pattern, a in self.alphas if pattern.is_whole(module)), self.alpha)
        rank = self.rank_of(module)
        return alpha / (math.sqrt(rank) if self.rslora else rank)

    def saves(self, module: str) -> bool:
        """Whether a module is stored whole. As in PEFT, "norm" stands for "input_layernorm" too."""
        return module.endswith(tuple(self.saved))

    def changes(self, module: str, *, linear: bool) -> bool:
        """Whether a module has a low-rank update. `linear`: it is one, and not the head."""
        if _among(self.saved, module) or _among(self.excluded, module):
            return False
        if self.targets is None:
            return linear
        if not _among(self.targets, module):
            return False
        if not self.layers or isinstance(self.targets, Pattern):
            return True
        layer = self._layer(module)
        return layer is not None and layer in self.layers

    def _layer(self, module: str) -> int | None:
        if not self.layer_patterns:
            found = re.match(r".*?\.[^.]*\.(\d+)\.", module)
            return int(found[1]) if found else None
        for at in re.finditer(r"\.(\d+)\.", module):
            if any(pattern.is_whole(module[: at.start()]) for pattern in self.layer_patterns):
                return int(at[1])
        return None


def read(directory: Path) -> AdapterConfig:
    """The config of an adapter's directory. Raises ModelError, naming what is not supported."""
    path = directory / NAME
    try:
        there = path.exists()
    except OSError as error:
        raise ModelError(str(directory), f"cannot be read: {error.strerror}") from None
    if not there:
        raise ModelError(str(directory), f"has no {NAME}, so it is not an adapter")
    fields = ConfigFields(str(path), jsonfile.read(path))
    # The kind first: another kind has other fields, of which none would be the reason.
    if fields.word("peft_type") != "LORA":
        raise fields.bad("peft_type", f"is {fields.get('peft_type')!r}, and only 'LORA' is known")
    fields.refuse_others(*_KNOWN, *_HISTORY)
    fields.refuse_unless("task_type", "CAUSAL_LM")
    fields.refuse_unless("init_lora_weights", *_INITS)
    known = {name: name for name in ("none", "all", "lora_only")}
    budget = Budget()
    return AdapterConfig(
        fields=fields,
        rank=fields.count("r", 8),
        alpha=fields.number("lora_alpha", 8),
        rslora=fields.flag("use_rslora", False),
        bias=fields.one_of("bias", known, "none"),
        saved=frozenset(fields.texts("modules_to_save")),
        ranks=tuple((p, f.count(n)) for p, f, n in _patterns(fields, "rank_pattern", budget)),
        alphas=tuple((p, f.number(n)) for p, f, n in _patterns(fields, "alpha_pattern", budget)),
        targets=_targets(fields, "target_modules", budget),
        excluded=_modules(fields, "exclude_modules", budget),
        layers=_layers(fields),
        layer_patterns=tuple(
            Pattern(fields, "layers_pattern", rf"(?:.*\.)?{text}", budget)
            for text in fields.texts("layers_pattern")
        ),
    )


def _patterns(
    fields: ConfigFields, name: str, budget: Budget
) -> list[tuple[Pattern, ConfigFields, str]]:
    """A name's end, or a regular expression for it, each with a number in the field after it."""
    found = fields.sub(name)
    names = [] if found is None else found.names()
    return [(Pattern(fields, name, rf"(?:.*\.)?(?:{n})", budget), found, n) for n in names if found]


def _targets(fields: ConfigFields, name: str, budget: Budget) -> frozenset[str] | Pattern | None:
    """None for "all-linear"."""
    if str(fields.get(name)).lower() == "all-linear":
        return None
    return _modules(fields, name, budget)


def _modules(fields: ConfigFields, name: str, budget: Budget) -> frozenset[str] | Pattern:
    """Names, or the ends of names; or a regular expression for whole names."""
    value = fields.get(name)
    if isinstance(value, str):
        return Pattern(fields, name, value, budget)
    return frozenset(fields.texts(name))


def _layers(fields: ConfigFields) -> tuple[int, ...]:
    value = fields.get("layers_to_transform")
    found: Sequence[object] = value if isinstance(value, list) else [] if value is None else [value]
    if not all(type(number) is int for number in found):
        raise fields.bad("layers_to_transform", "must be a list of whole numbers")
    return tuple(int(str(number)) for number in found)


def _among(names: frozenset[str] | Pattern, module: str) -> bool:
    """Whether a module, or the end of its name after a dot, is among the names."""
    if isinstance(names, Pattern):
        return names.is_whole(module)
    parts = module.split(".", _MOST_PARTS)
    return any(".".join(parts[at:]) in names for at in range(len(parts)))
