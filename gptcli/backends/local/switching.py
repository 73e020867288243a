"""Parts of a model switched off: what stands in the place of what they do, as edits of a pass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from functools import cached_property
from typing import TYPE_CHECKING

from gptcli.backends.local import memory
from gptcli.backends.local.open_model import OpenModel
from gptcli.backends.local.reference import reference_of
from gptcli.errors import UsageError
from gptcli.types.ablate import Off
from gptcli.types.model_part import Kind, ModelPart

if TYPE_CHECKING:
    from gptcli.engine.edits import Edit
    from gptcli.engine.points import Point
    from gptcli.engine.probes.kept import Floats, Place


def parts_of(model: OpenModel, kind: Kind, tokens: int) -> list[ModelPart]:
    """All parts of a kind that a model has, in its order; positions of a prompt of `tokens`.

    Raises UsageError where it has none.
    """
    if kind == "position":
        return [ModelPart(kind, None, at) for at in range(tokens)]
    found = []
    for layer in range(model.runner.spec.layers):
        count = _count(model, kind, layer)
        if kind in ("head", "expert"):
            found += [ModelPart(kind, layer, at) for at in range(count)]
        elif count:
            found.append(ModelPart(kind, layer))
    if not found:
        raise UsageError("--each", f"{model.name} has no {kind}")
    return found


def check_parts(model: OpenModel, parts: Sequence[ModelPart], tokens: int) -> None:
    """Raise UsageError for a part of --off that is not there."""
    last = model.runner.spec.layers - 1
    for part in parts:
        if part.kind == "position":
            if part.index is None or part.index >= tokens:
                reason = f"{part.name}: the prompt has positions 0 to {tokens - 1}"
                raise UsageError("--off", reason)
            continue
        if part.layer is None or part.layer > last:
            raise UsageError("--off", f"{part.name}: the model has layers 0 to {last}")
        count = _count(model, part.kind, part.layer)
        if not count:
            raise UsageError("--off", f"{part.name}: layer {part.layer} has no {part.kind}")
        if part.index is not None and part.index >= count:
            reason = f"{part.name}: layer {part.layer} has {part.kind}s 0 to {count - 1}"
            raise UsageError("--off", reason)


def _count(model: OpenModel, kind: Kind, layer: int) -> int:
    """How many of a kind a layer has."""
    from gptcli.engine.points import features, heads_of, is_there

    spec = model.runner.spec
    if kind == "layer":
        return 1
    point: Point = _POINTS[kind]
    if not is_there(point, spec, layer):
        return 0
    match kind:
        case "head":
            return heads_of(spec, layer)[0]
        case "expert":
            return features(point, spec, layer)
    return 1


_POINTS: Mapping[Kind, Point] = {
    "head": "heads",
    "mlp": "mlp",
    "attention": "attention",
    "expert": "shares",
    "position": "embedding",
}


class Switches:
    """What switches parts off, in texts of at most so many tokens.

    parts: those that will be. Raises InputError for a reference text that cannot be used.
    """

    def __init__(
        self, model: OpenModel, off: Off, parts: Sequence[ModelPart], prompt: int, tokens: int
    ) -> None:
        self._model, self._off, self._tokens = model, off, tokens
        self._positions = self._where(prompt)
        shares = {part for part in parts if part.kind == "expert"}
        places = {place for part in parts for place in self._places(part)}
        self._all = sorted(places) if off.put != "zero" else []
        reads = off.put != "zero" and len(shares) < len(parts)
        self.reference = reference_of(model, off.reference) if reads else None

    def edits(self, part: ModelPart) -> tuple[Edit, ...]:
        """What a pass changes where a part is off. Raises ResourceError the first time."""
        from gptcli.engine.edits import Edit
        from gptcli.engine.points import heads_of

        if part.kind == "expert" and part.layer is not None and part.index is not None:
            one = range(part.index, part.index + 1)
            return (Edit("shares", part.layer, None, self._positions, one, 0.0),)
        found = []
        for point, layer in self._places(part):
            features, positions = None, self._positions
            if part.kind == "head" and part.index is not None:
                _, size = heads_of(self._model.runner.spec, layer)
                features = range(part.index * size, (part.index + 1) * size)
            if part.kind == "position" and part.index is not None:
                positions = range(part.index, part.index + 1)
            add, positions = self._instead((point, layer), features, positions)
            found.append(Edit(point, layer, None, positions, features, 0.0, add))
        return tuple(found)

    def _where(self, prompt: int) -> range | None:
        window = self._off.window
        if not window.asked:
            return None
        positions = window.of(prompt)
        if not positions:
            reason = f"holds none of the {prompt} positions, which count from 0"
            raise UsageError("--window", reason)
        # One without an end goes on behind the prompt.
        return positions if window.stop is not None else range(positions.start, self._tokens)

    def _places(self, part: ModelPart) -> list[Place]:
        """Where its work is seen; none of an expert, whose share is all there is to change."""
        from gptcli.engine.points import is_there

        if part.kind == "expert":
            return []
        if part.kind == "position" or part.layer is None:
            return [("embedding", -1)]
        if part.kind != "layer":
            return [(_POINTS[part.kind], part.layer)]
        updates: tuple[Point, ...] = ("attention", "mlp", "told")
        spec = self._model.runner.spec
        return [(point, part.layer) for point in updates if is_there(point, spec, part.layer)]

    def _instead(
        self, place: Place, features: range | None, positions: range | None
    ) -> tuple[Floats | None, range | None]:
        """What is put there, and at which positions."""
        import numpy as np

        if self._off.put == "zero":
            return None, positions
        numbers = self._numbers[place]
        cut = slice(None) if features is None else slice(features.start, features.stop)
        if self._off.put == "mean":
            return np.ascontiguousarray(numbers[cut]), positions
        where = range(self._tokens) if positions is None else positions
        return np.ascontiguousarray(numbers[where.start : where.stop, cut]), where

    @cached_property
    def _numbers(self) -> Mapping[Place, Floats]:
        from gptcli.engine.points import features
        from gptcli.engine.probes import kept

        assert self.reference is not None
        runner, texts = self._model.runner, self.reference.texts
        longest = max(len(ids) for ids, _ in texts)
        drawn = self._off.put == "resample"
        tokens = longest + (self._tokens if drawn else 0)
        needed = 4 * tokens * sum(features(point, runner.spec, at) for point, at in self._all)
        memory.check("--reference", "what is kept of it needs", needed, runner.facts.device)
        if drawn:
            return kept.drawn(runner, texts, self._all, self._tokens, self._off.seed)
        return kept.means(runner, texts, self._all)


def switched_off(model: OpenModel, edits: Sequence[Edit]) -> OpenModel:
    """The same model, whose passes have these edits too; it drafts nothing and keeps no prompts."""
    other = copy(model)
    other.__dict__.update(runner=model.runner.edited(edits), prompts=None, draft=None, _kept={})
    return other
