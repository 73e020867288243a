"""The quantization_config of the compressed-tensors format: groups of modules and their schemes."""

from __future__ import annotations

from gptcli.engine.model.config_fields import ConfigFields
from gptcli.engine.model.patterns import Budget, Pattern
from gptcli.engine.weights.quantised.grid import CHANNEL, TENSOR, Grid
from gptcli.plain import dataclass

_PATTERN = "re:"
_PACKED, _INT, _FLOAT, _NAIVE = "pack-quantized", "int-quantized", "float-quantized", "naive"
_NVFP4, _MXFP4 = "nvfp4-pack-quantized", "mxfp4-pack-quantized"
_FORMATS = {_PACKED: _PACKED, _INT: _INT, _FLOAT: _FLOAT, "naive-quantized": _NAIVE} | {
    _NVFP4: "nvfp4",
    _MXFP4: "mxfp4",
}
#: The forms of floats of four bits, and how many of these share a scale.
FLOAT4 = {"nvfp4": 16, "mxfp4": 32}


@dataclass(frozen=True)
class Targets:
    """What a list of modules names: whole names, and regular expressions after "re:"."""

    names: frozenset[str]
    patterns: tuple[Pattern, ...]

    def match(self, module: str) -> bool:
        """A regular expression need only match the beginning, as the format has it."""
        return module in self.names or any(each.begins(module) for each in self.patterns)


@dataclass(frozen=True)
class Group:
    """How the weights of some modules are stored.

    form: one of FLOAT4, or whether whole numbers are "packed" in words or any are "plain"; kind:
    that of the tensor that has them. by_activation: groups are in an order of their own.
    """

    targets: Targets
    form: str
    bits: int
    kind: str
    symmetric: bool
    grid: Grid
    by_activation: bool

    @property
    def packed(self) -> bool:
        """Whether numbers are packed in words."""
        return self.form == "packed"

    @property
    def core(self) -> str:
        """The name in a module of the tensor that has the numbers."""
        return "weight" if self.form == "plain" else "weight_packed"

    def names(self, module: str) -> bool:
        """Whether the group is for this module. "Linear", a class, stands for all there are."""
        return "Linear" in self.targets.names or self.targets.match(module)


@dataclass(frozen=True)
class Scheme:
    """All groups; `ignored` names modules of none."""

    groups: tuple[Group, ...]
    ignored: Targets

    def group_of(self, module: str) -> Group | None:
        """The group of a module; one that names it goes before one for all."""
        if self.ignored.match(module):
            return None
        found = [group for group in self.groups if group.names(module)]
        named = [group for group in found if group.targets.match(module)]
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
    found, budget = [], Budget()
    for name in groups.names():
        group = groups.sub(name)
        if group is None:
            raise groups.bad(name, "is missing")
        found.append(_group(group, config, budget))
    return Scheme(tuple(found), _targets(config, "ignore", budget))


def _group(fields: ConfigFields, config: ConfigFields, budget: Budget) -> Group:
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
    # What was only done to find the numbers, "weight" and "static", changes nothing.
    weights.refuse_unless("actorder", False, True, "group", "weight", "static")
    number = weights.one_of("type", {"int": "int", "float": "float"}, "int")
    bits = weights.count("num_bits", 8)
    symmetric = weights.flag("symmetric", True)
    floats = kind == _FLOAT or kind in FLOAT4
    if kind != _NAIVE and floats != (number == "float"):
        raise weights.bad("type", f"is {number!r}, which {kind} does not hold")
    if bits not in ((4,) if kind in FLOAT4 else (4, 8) if kind == _PACKED else (8,)):
        raise weights.bad("num_bits", f"is {bits}, which is not supported for {kind}")
    if number == "float" and not symmetric:
        raise weights.bad("symmetric", "is false, which is not supported for floats")
    if kind in FLOAT4 and weights.count("group_size", FLOAT4[kind]) != FLOAT4[kind]:
        raise weights.bad("group_size", f"must be {FLOAT4[kind]} for {kind}")
    held = {_PACKED: "I32", "nvfp4": "U8", "mxfp4": "U8"}
    return Group(
        targets=_targets(fields, "targets", budget),
        form=kind if kind in FLOAT4 else "packed" if kind == _PACKED else "plain",
        bits=bits,
        kind=held.get(kind, "F8_E4M3" if number == "float" else "I8"),
        symmetric=symmetric,
        grid=Grid(1, FLOAT4[kind]) if kind in FLOAT4 else _grid(weights),
        by_activation=kind == _PACKED and weights.get("actorder") in (True, "group"),
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


def _targets(fields: ConfigFields, name: str, budget: Budget) -> Targets:
    texts = fields.texts(name)
    patterns = [text.removeprefix(_PATTERN) for text in texts if text.startswith(_PATTERN)]
    return Targets(
        frozenset(texts), tuple(Pattern(fields, name, text, budget) for text in patterns)
    )
