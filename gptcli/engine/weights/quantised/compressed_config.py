"""The quantization_config of the compressed-tensors format: groups of modules and their schemes."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from gptcli.engine.model.config_fields import ConfigFields
from gptcli.engine.model.patterns import Pattern
from gptcli.engine.weights.quantised.grid import CHANNEL, TENSOR, Grid

_PACKED, _INT, _FLOAT, _NAIVE = "pack-quantized", "int-quantized", "float-quantized", "naive"
_FORMATS = {_PACKED: _PACKED, _INT: _INT, _FLOAT: _FLOAT, "naive-quantized": _NAIVE}


@dataclass(frozen=True)
class Target:
    """What a list of modules names: a whole name, or "re:" and a regular expression."""

    name: str
    pattern: Pattern | None

    def matches(self, module: str) -> bool:
        """A regular expression need only match the beginning, as the format has it."""
        return self.pattern.begins(module) if self.pattern else self.name == module


@dataclass(frozen=True)
class Group:
    """How the weights of some modules are stored."""

    targets: tuple[Target, ...]
    packed: bool
    bits: int
    dtype: torch.dtype
    symmetric: bool
    grid: Grid

    def names(self, module: str) -> bool:
        """Whether the group is for this module. "Linear", a class, stands for all there are."""
        return any(t.name == "Linear" or t.matches(module) for t in self.targets)


@dataclass(frozen=True)
class Scheme:
    """All groups; `ignored` names modules of none."""

    groups: tuple[Group, ...]
    ignored: tuple[Target, ...]

    def group_of(self, module: str) -> Group | None:
        """The group of a module; one that names it goes before one for all."""
        if any(target.matches(module) for target in self.ignored):
            return None
        found = [group for group in self.groups if group.names(module)]
        named = [g for g in found if any(target.matches(module) for target in g.targets)]
        return next(iter([*named, *found]), None)


def scheme(config: ConfigFields) -> Scheme:
    """The scheme of a quantization_config. Raises ModelError for what is not known."""
    config.refuse_others(
        "quant_method",
        "config_groups",
        "format",
        "ignore",
        "quantization_status",
        "global_compression_ratio",
        "sparsity_config",
        "version",
        "dequantize",
        "run_compressed",
    )
    # Early writers called what they had compressed frozen; what is stored tells.
    config.refuse_unless("quantization_status", "compressed", "frozen")
    sparsity = config.sub("sparsity_config")
    if sparsity is not None:
        sparsity.refuse_unless("format", "dense")
    groups = config.sub("config_groups")
    if groups is None or not groups.names():
        raise config.bad("config_groups", "is missing")
    found = []
    for name in groups.names():
        group = groups.sub(name)
        if group is None:
            raise groups.bad(name, "is missing")
        found.append(_group(group, config))
    return Scheme(tuple(found), _targets(config, "ignore"))


def _group(fields: ConfigFields, config: ConfigFields) -> Group:
    # Activations stay as they are: a group may say how they would be quantised.
    fields.refuse_others("targets", "weights", "input_activations", "format")
    holder = fields if fields.get("format") is not None else config
    kind = holder.one_of("format", _FORMATS, "dense")
    weights = fields.sub("weights")
    if weights is None:
        raise fields.bad("weights", "is missing, and only quantised weights are supported")
    weights.refuse_others(
        "num_bits",
        "type",
        "symmetric",
        "strategy",
        "group_size",
        "block_structure",
        "actorder",
        "observer",
        "observer_kwargs",
        "scale_dtype",
        "zp_dtype",
    )
    # Groups in the order of the activations, "group", would need the index of each input.
    weights.refuse_unless("actorder", False, "weight", "static")
    number = weights.one_of("type", {"int": "int", "float": "float"}, "int")
    bits = weights.count("num_bits", 8)
    symmetric = weights.flag("symmetric", True)
    if (kind, number) in ((_INT, "float"), (_FLOAT, "int"), (_PACKED, "float")):
        raise weights.bad("type", f"is {number!r}, which {kind} does not hold")
    if bits != 8 and not (kind == _PACKED and bits == 4):
        raise weights.bad("num_bits", f"is {bits}, which is not supported for {kind}")
    if number == "float" and not symmetric:
        raise weights.bad("symmetric", "is false, which is not supported for floats")
    dtype = torch.int32 if kind == _PACKED else torch.int8
    return Group(
        targets=_targets(fields, "targets"),
        packed=kind == _PACKED,
        bits=bits,
        dtype=torch.float8_e4m3fn if number == "float" else dtype,
        symmetric=symmetric,
        grid=_grid(weights),
    )


def _grid(weights: ConfigFields) -> Grid:
    size = weights.get("group_size")
    default = "tensor" if size is None else "channel" if size == -1 else "group"
    known = ("tensor", "channel", "group", "block")
    strategy = weights.one_of("strategy", {name: name for name in known}, default)
    if strategy == "group":
        return Grid(1, weights.count("group_size"))
    if strategy == "block":
        return Grid(*weights.pair("block_structure"))
    return TENSOR if strategy == "tensor" else CHANNEL


def _targets(fields: ConfigFields, name: str) -> tuple[Target, ...]:
    found = []
    for text in fields.texts(name):
        plain = text.removeprefix("re:")
        pattern = Pattern(fields, name, plain) if plain != text else None
        found.append(Target(text, pattern))
    return tuple(found)
