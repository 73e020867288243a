"""A model's tensors with adapters added to them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from gptcli.engine.model.rules import Rules
from gptcli.engine.weights.checkpoint import SourceTensor, TensorSource
from gptcli.engine.weights.lora.adapter import Adapter, Update
from gptcli.engine.weights.matching import Placement, rule_of

_HEAD = ("unembedding.weight",)


class AdaptedSource:
    """A source whose tensors have adapters added to them as they are read.

    Sums are made in float32, and stay so until the weights are cast to the dtype in use. `base`
    is what they are added to.
    """

    def __init__(
        self, base: TensorSource, adapters: Sequence[Adapter], rules: Rules, ends: tuple[str, str]
    ) -> None:
        """`ends`: the stored names of embedding and head, without the prefix.

        Where the rules have a head of its own and the model stores none, it begins as the
        embedding. Raises ModelError for an adapter that does not fit the model.
        """
        self.base, self._adapters, self._rules, self._ends = base, adapters, rules, ends
        self._rule_of = rule_of(rules)
        self._alias: dict[str, str] = {}
        self.tensors = dict(base.tensors)
        self._bare = {rules.bare(name): name for name in base.tensors}
        self._untie()
        self._updates: dict[str, list[Update]] = {}
        self._whole: dict[str, tuple[Adapter, SourceTensor]] = {}
        for adapter in adapters:
            for name, stored in adapter.whole.items():
                self._replace(adapter, name, stored)
        for adapter in adapters:
            for update in adapter.updates.values():
                self._add(update)

    @property
    def place(self) -> Path:
        """See TensorSource."""
        return self.base.place

    @property
    def dtype(self) -> torch.dtype:
        """See TensorSource: that of the model, whatever the adapters have."""
        return self.base.dtype

    def updates(self, name: str) -> list[Update]:
        """The low-rank updates of a weight, by its stored name."""
        return self._updates.get(name, [])

    def read(self, name: str) -> Tensor:
        """See TensorSource."""
        weight = self.without_updates(name)
        for update in self.updates(name):
            a, b = update.read()
            product = b @ a  # (out, in)
            weight = weight.float() + (product.t() if self._turned(name, update) else product)
        return weight

    def without_updates(self, name: str) -> Tensor:
        """The tensor, with what an adapter stores whole but without its low-rank updates."""
        if name in self._whole:
            adapter, stored = self._whole[name]
            return adapter.read(stored)
        return self.base.read(self._alias.get(name, name))

    def check(self, placements: Iterable[Placement]) -> None:
        """Raise ModelError where an adapter's config names a module that its tensors lack."""
        for placement in placements:
            stored, targets = placement.stored[0], placement.layout.targets[0]
            if not stored.name.endswith(".weight"):
                continue
            module = self._module(stored.name)
            linear = all(target.startswith("layers.") for target in targets)
            for adapter in self._adapters:
                named = adapter.config.changes(module, linear=linear)
                if named and len(stored.shape) == 2 and module not in adapter.updates:
                    raise adapter.error(f"has no update for {module}, which its config names")
                if adapter.config.saves(module) and f"{module}.weight" not in adapter.whole:
                    raise adapter.error(f"does not hold {module}, which its config says it saves")

    def _untie(self) -> None:
        embedding, head = self._ends
        rules = {rule.targets for rule in self._rules.rules}
        stored = self._bare.get(embedding)
        if _HEAD in rules and stored is not None and head not in self._bare:
            self._alias[head] = stored
            self._bare[head] = head
            self.tensors[head] = replace(self.base.tensors[stored], name=head)

    def _module(self, name: str) -> str:
        """A stored weight's module, as transformers names it."""
        bare = self._rules.bare(name).removesuffix(".weight")
        return bare if f"{bare}.weight" == self._ends[1] else self._rules.prefix + bare

    def _find(self, adapter: Adapter, name: str) -> SourceTensor:
        stored = self._bare.get(self._rules.bare(name))
        if stored is None or self._rule_of(stored) is None:
            raise adapter.error(f"is for {name}, which {self.place} does not have")
        return self.tensors[stored]

    def _replace(self, adapter: Adapter, name: str, stored: SourceTensor) -> None:
        module, _, part = name.rpartition(".")
        found = self._find(adapter, name)
        is_end = self._rules.bare(found.name) in self._ends
        said = adapter.config.saves(module) or is_end
        if not (said or (part == "bias" and adapter.config.bias != "none")):
            raise adapter.error(f"holds {name}, of which its config does not tell")
        if stored.shape != found.shape:
            reason = f"{name} has shape {list(stored.shape)}, but the model {list(found.shape)}"
            if is_end:
                reason += ": a vocabulary of another size is not supported"
            raise adapter.error(reason)
        if found.name in self._whole:
            other = self._whole[found.name][0].subject
            raise adapter.error(f"holds {name}, which {other} holds as well")
        self._whole[found.name] = adapter, stored
        self.tensors[found.name] = replace(found, dtype=stored.dtype)

    def _add(self, update: Update) -> None:
        found = self._find(update.adapter, f"{update.module}.weight")
        shape = (update.b.shape[0], update.a.shape[1])
        if self._turned(found.name, update):
            shape = shape[1], shape[0]
        if shape != found.shape:
            reason = f"has an update of shape {list(shape)} for {update.module}, which is"
            raise update.adapter.error(f"{reason} {list(found.shape)} in {self.place}")
        self._updates.setdefault(found.name, []).append(update)
        self.tensors[found.name] = replace(found, dtype=torch.float32)

    def _turned(self, name: str, update: Update) -> bool:
        """Whether the weight is stored as (in, out)."""
        rule = self._rule_of(name)
        return update.embedding or (rule is not None and rule.transpose)
