"""The tensors of a model with packed weights, as what these stand for; nothing is read yet."""

from __future__ import annotations

from collections.abc import Callable

from gptcli.engine.model.rules import Rule
from gptcli.engine.weights.matching import FLOATS
from gptcli.engine.weights.quantised.base import Method, QuantisedWeight
from gptcli.engine.weights.quantised.coded import Coded
from gptcli.errors import ModelError
from gptcli.formats.mapping import MappedFiles
from gptcli.formats.stored import StoredFiles, StoredTensor


class QuantisedTensors:
    """Packed weights, and all tensors by the names, shapes and dtypes of what they stand for.

    What is stored decides: a plain weight is taken as it is. Raises ModelError for a packed one
    that config.json says is none, and for parts without the others.
    """

    def __init__(
        self,
        stored: StoredFiles,
        mapped: MappedFiles,
        method: Method,
        rule_of: Callable[[str], Rule | None],
    ) -> None:
        """`rule_of` is the family's rule for a stored name, None for a tensor it does not have."""
        self._mapped, self._method = mapped, method
        self.weights: dict[str, QuantisedWeight] = {}
        self.tensors: dict[str, StoredTensor] = {}
        grouped: dict[str, dict[str, StoredTensor]] = {}
        for name, tensor in stored.tensors.items():
            module, _, part = name.rpartition(".")
            if part in method.parts:
                grouped.setdefault(module, {})[part] = tensor
            else:
                self.tensors[name] = tensor
        for module, parts in grouped.items():
            name = f"{module}.weight"
            if method.is_packed(parts):
                rule = rule_of(name)
                turned = method.outputs_first and rule is not None and rule.transpose
                self._take(name, QuantisedWeight(module, parts, turned))
                self._drop_zeros(f"{module}.bias", rule_of)
            else:
                # A plain weight may have scales of activations all the same.
                read = (tensor for part, tensor in parts.items() if part not in method.unread)
                self.tensors |= {tensor.name: tensor for tensor in read}

    def coded(self, name: str) -> Coded:
        """A packed weight as data."""
        packed = self.weights[name]
        parts = {
            part: self._mapped.array(tensor)
            for part, tensor in packed.parts.items()
            if part not in self._method.unread
        }
        return self._method.coded(packed, parts)

    def _take(self, name: str, packed: QuantisedWeight) -> None:
        some = next(iter(packed.parts.values()))
        if self._method.left_out(packed.module):
            reason = f"{packed.module} is quantised, but config.json says that it is not"
            raise ModelError(str(some.file), reason)
        if name in self.tensors:
            raise ModelError(str(some.file), f"{name} is stored twice, plain and quantised")
        self.weights[name] = packed
        self.tensors[name] = self._method.weight(packed)

    def _drop_zeros(self, bias: str, rule_of: Callable[[str], Rule | None]) -> None:
        """Some tools store zeros as the bias of a packed layer that has none."""
        stored = self.tensors.get(bias)
        if stored is None or rule_of(bias) is not None or stored.kind not in FLOATS:
            return
        if not self._mapped.array(stored).any():
            del self.tensors[bias]
