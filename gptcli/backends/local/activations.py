"""The numbers of texts inside the model, part by part."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from gptcli.backends.local import memory
from gptcli.backends.local.open_model import OpenModel
from gptcli.backends.local.prompt_notices import plain_control_token
from gptcli.errors import GptcliError, NonFiniteError, UsageError
from gptcli.types.activations import ActivationRows, ActivationsRequest, At
from gptcli.types.events import Notice

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from gptcli.engine.points import Point

    Floats = NDArray[np.float32]
    Doubles = NDArray[np.float64]


def answer(model: OpenModel, request: ActivationsRequest) -> Iterator[ActivationRows]:
    """The rows of the texts; before an error of one, those of all before it.

    Raises UsageError for a layer that has no such point, the errors of `encode`, ResourceError, and
    NonFiniteError where a number is none.
    """
    from gptcli.engine.probes.activations import of_texts

    layers = layers_of(model, request.at, request.layers)
    width = numbers_of(model, request.at, layers)
    texts = _Texts(model, request, len(layers) * width)
    rows = _Rows(model, request, layers, width)
    for number, part in of_texts(model.runner, texts.read(), point_of(request.at), layers):
        yield from rows.of(number, texts.ids[number], part)
    if texts.failed is not None:
        raise texts.failed


class _Texts:
    """Texts as tokens, up to the first that cannot be."""

    def __init__(self, model: OpenModel, request: ActivationsRequest, numbers: int) -> None:
        self._model, self._request, self._numbers = model, request, numbers
        self.ids: list[list[int]] = []
        self.failed: GptcliError | None = None

    def read(self) -> Iterator[tuple[list[int], int]]:
        """Ids of each text, and the first position that is wanted."""
        asked = self._request
        for each in asked.texts:
            try:
                ids = self._model.encode(each.text, special=asked.special, subject=each.subject)
                check_room(self._model, self._numbers, len(ids), each.subject)
            except GptcliError as error:
                self.failed = error
                return
            self.ids.append(ids)
            yield ids, len(ids) - 1 if asked.pool == "last" else 0


class _Rows:
    """What is told of each text, as its parts come."""

    def __init__(
        self, model: OpenModel, request: ActivationsRequest, layers: tuple[int, ...], width: int
    ) -> None:
        self._model, self._request, self._source = model, request, model.source
        self._layers, self._width = layers, width
        self._done = 0
        self._total: Doubles | None = None

    def of(self, number: int, ids: list[int], part: Floats) -> Iterator[ActivationRows]:
        """The rows of a part; where they are pooled, the row after the last part."""
        import numpy as np

        pool, each = self._request.pool, self._request.texts[number]
        if not np.isfinite(part).all():
            reason = f"has NaN or infinite numbers inside, at {each.subject}"
            raise NonFiniteError(self._model.name, reason)
        done = self._done = self._done + len(part)
        last = done == len(ids) or pool == "last"
        own = tuple(ids[done - len(part) : done] if pool == "none" else ids)
        if pool == "mean":
            total = part.sum(0, dtype=np.float64)
            self._total = total if self._total is None else self._total + total
            part = (self._total / len(ids)).astype(np.float32)[None]
        if last or pool == "none":
            first = pool != "none" or done == len(own)
            yield ActivationRows(
                source=self._source,
                layers=self._layers,
                width=self._width,
                ids=own,
                rows=len(part),
                values=part.astype("<f4", copy=False).tobytes(),
                text=number,
                last=last,
                notices=self._notices(each.text) if first else (),
            )
        if last:
            self._done, self._total = 0, None

    def _notices(self, text: str) -> tuple[Notice, ...]:
        special = self._request.special
        return () if special else tuple(plain_control_token(self._model.tokenizer, text))


def layers_of(model: OpenModel, at: At, wanted: tuple[int, ...] | None) -> tuple[int, ...]:
    """The layers that are looked at. Raises UsageError for one that has no such point."""
    from gptcli.engine.probes.activations import layers_with

    point, count = point_of(at), model.runner.spec.layers
    there = layers_with(model.runner.spec, point)
    if at == "embedding" and wanted is not None:
        raise UsageError("--layers", "is about layers, and the embedding comes before all of them")
    for layer in wanted or ():
        if layer >= count:
            raise UsageError("--layers", f"must be from 0 to {count - 1}, not {layer}")
        if layer not in there:
            raise UsageError("--layers", f"layer {layer} has no {at}")
    return there if wanted is None else wanted


def point_of(at: At) -> Point:
    """The point of the pass that --at names."""
    return "heads" if at == "head" else at


def numbers_of(model: OpenModel, at: At, layers: Sequence[int]) -> int:
    """How many numbers the layers have there. Raises UsageError where they have not as many."""
    from gptcli.engine.points import features

    counts = {layer: features(point_of(at), model.runner.spec, layer) for layer in layers}
    if not counts:
        raise UsageError("--at", f"no layer has a {at}")
    other = next((layer for layer in counts if counts[layer] != counts[layers[0]]), None)
    if other is not None:
        reason = f"layer {layers[0]} has {counts[layers[0]]} numbers there, layer {other} has"
        raise UsageError("--layers", f"{reason} {counts[other]}: each needs a file of its own")
    return counts[layers[0]]


def check_room(model: OpenModel, numbers: int, tokens: int, subject: str) -> None:
    """Raise ResourceError where a part of a text, of so many numbers a token, and its keys and
    values do not fit.
    """
    from gptcli.engine.runner import CHUNK

    runner = model.runner
    needed = min(tokens, CHUNK) * numbers * 4
    needed += runner.spec.cache_bytes(tokens, runner.facts.itemsize, 1)
    memory.check(subject, "its activations need", needed, runner.facts.device)
