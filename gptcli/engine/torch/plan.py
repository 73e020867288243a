"""A model before its weights are read: its decoder without numbers, and where each comes from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from gptcli.engine.describe import Described
from gptcli.engine.model.mixers import Mixer, Recurrence
from gptcli.engine.model.rules import Rules
from gptcli.engine.model.spec import ModelSpec
from gptcli.engine.torch.decoder import Decoder
from gptcli.engine.weights.checkpoint import Checkpoint, TensorSource
from gptcli.engine.weights.dequantised import opened
from gptcli.engine.weights.lora.adapter import Adapter
from gptcli.engine.weights.lora.source import AdaptedSource
from gptcli.engine.weights.matching import Placement, check_counts, place, rule_of
from gptcli.engine.weights.quantised import method_for, method_of
from gptcli.errors import ModelError
from gptcli.types.models import AdapterRef


@dataclass(frozen=True)
class TorchPlan:
    """Every parameter of the decoder, which is on the meta device, and its stored tensor.

    stored: the files' own tensors; source: the same, dequantised and with adapters added, and
    `adapted` that too, where there are adapters. dequantised: config.json says of the files that
    they are quantised, which `source` no longer is. untied: the head has weights of its own,
    although config.json says that it has those of the embedding.
    """

    decoder: Decoder
    stored: Checkpoint
    source: TensorSource
    adapted: AdaptedSource | None
    placements: list[Placement]
    shapes: dict[str, torch.Size]
    dequantised: bool
    untied: bool


#: Why a GGUF file whose heads changed places takes no adapter and is not written as it is.
APART = (
    "has its heads by turns, as GGUF files do: adapters and other programs expect another order",
    "write it with 'gptcli models convert' and use what that makes",
)


def _mixers(spec: ModelSpec) -> list[Mixer | None]:
    return [each.mixer for each in spec.each_layer]


def plan(described: Described, adapters: Sequence[AdapterRef] = ()) -> TorchPlan:
    """Fit the tensors, and the headers of adapters, to the spec. Raises ModelError."""
    config, family = described.config, described.family
    # What is small is read first.
    method = method_of(config)
    found = [Adapter(ref) for ref in adapters]
    spec = described.spec
    if found and any(isinstance(m, Recurrence) and m.by_turns for m in _mixers(spec)):
        raise ModelError(config.subject, *APART)
    check_counts(config.subject, spec, described.stored)
    checkpoint = Checkpoint(described.stored)
    rules = family.rules(spec)
    source = opened(checkpoint, method_for(config, described.stored), rule_of(rules))
    adapted = None
    if found:
        untied = family.rules(replace(spec, tied=False))
        # A head that shares the embedding's weights no longer can once one of the two changes.
        if spec.tied and any(each.touches(_ends(untied), untied) for each in found):
            spec, rules = replace(spec, tied=False), untied
        source = adapted = AdaptedSource(source, found, rules, _ends(untied))
    try:
        with torch.device("meta"):
            decoder = Decoder(spec).requires_grad_(False)
    except RuntimeError as error:
        # Sizes that are sensible each by itself may multiply beyond what torch can count.
        raise ModelError(config.subject, f"describes an impossible model: {error}") from None
    shapes = {name: parameter.shape for name, parameter in decoder.named_parameters()}
    placements = place(source, rules, shapes, spec.layers)
    if adapted is not None:
        adapted.check(placements)
    return TorchPlan(
        decoder=decoder,
        stored=checkpoint,
        source=source,
        adapted=adapted,
        placements=placements,
        shapes=shapes,
        dequantised=method is not None,
        untied=described.said.tied and not spec.tied,
    )


def _ends(untied: Rules) -> tuple[str, str]:
    """The stored names of the embedding and of the unembedding, without prefix."""
    by_target = {rule.targets: rule.stored for rule in untied.rules}
    return by_target["embedding.weight",], by_target["unembedding.weight",]
