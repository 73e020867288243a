"""Control vectors, made of texts of two manners."""

from __future__ import annotations

import tempfile
from collections.abc import Generator, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

from gptcli.backends.local.activations import check_room
from gptcli.backends.local.open_model import OpenModel
from gptcli.errors import InputError, ModelError, NonFiniteError, ResourceError, UsageError
from gptcli.types.events import Notice, Progress
from gptcli.types.steering import Direction, Steering, SteeringRequest

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]
    Doubles = NDArray[np.float64]

_LABEL = "texts"
#: Rows of one layer that are read from the disk at once.
_ROWS = 1024


def answer(
    model: OpenModel, request: SteeringRequest
) -> Generator[Progress | Notice, None, Steering]:
    """The directions from the texts of `minus` to those of `plus`, behind each layer.

    Yields how many texts are read. Raises InputError where there are none, or pairs without a
    partner, or where both sides are the same; the errors of `encode`; NonFiniteError.
    """
    layers = _layers(model, request.layers)
    if not request.plus or not request.minus:
        raise InputError("--minus" if request.plus else "--plus", "has no texts")
    pairs = request.method == "pca"
    if pairs and len(request.plus) != len(request.minus):
        reason = f"{len(request.plus)} texts of --plus and {len(request.minus)} of --minus are"
        raise InputError("--method pca", f"{reason} not pairs, of which the n-th line is a text")
    sides = [_ids(model, request, side) for side in ("plus", "minus")]
    longest = max(len(ids) for side in sides for ids in side)
    check_room(model, len(layers) * model.runner.spec.width, longest, "texts")
    if pairs:
        vectors, rows = yield from _common(model, request, sides, layers)
    else:
        vectors, rows = yield from _between(model, request, sides, layers)
    return Steering(
        source=model.source,
        hint=str(model.described.config.get("model_type") or ""),
        directions=tuple(
            Direction(layer, tuple(vector.tolist()))
            for layer, vector in zip(layers, _checked(model, vectors, request), strict=True)
        ),
        rows=rows,
    )


def _layers(model: OpenModel, wanted: tuple[int, ...] | None) -> tuple[int, ...]:
    """Behind which layers. Raises UsageError for one that the model has not, or that is the first:
    llama.cpp adds nothing there.
    """
    last = model.runner.spec.layers - 1
    for layer in wanted or ():
        if not 1 <= layer <= last:
            raise UsageError("--layers", f"must be from 1 to {last}, not {layer}")
    if not last:
        raise ModelError(model.name, "has one layer, behind which a control vector adds nothing")
    return tuple(range(1, last + 1)) if wanted is None else wanted


def _ids(model: OpenModel, request: SteeringRequest, side: str) -> list[list[int]]:
    texts: tuple[str, ...] = getattr(request, side)
    return [
        model.encode(text, special=request.special, subject=f"--{side}: text {number}")
        for number, text in enumerate(texts, 1)
    ]


def _between(
    model: OpenModel,
    request: SteeringRequest,
    sides: Sequence[Sequence[list[int]]],
    layers: tuple[int, ...],
) -> Generator[Progress | Notice, None, tuple[Doubles, tuple[int, ...]]]:
    """The mean over the texts of one side less that over those of the other, (layers, width)."""
    import numpy as np

    from gptcli.engine.probes.activations import of_texts

    before, total, means = 0, sum(map(len, sides)), []
    for side in sides:
        # Of all tokens the first is left out: where it has nothing before it to look at, its
        # stream is many times as long as any other, whatever the text says.
        last = request.position == "last"
        texts = [(ids, len(ids) - 1 if last else min(1, len(ids) - 1)) for ids in side]
        mean = np.zeros((len(layers), model.runner.spec.width))
        yield Progress(_LABEL, before, total)
        for number, part in of_texts(model.runner, texts, "stream", layers):
            ids, first = texts[number]
            mean += part.sum(0, dtype=np.float64) / (len(ids) - first)
            yield Progress(_LABEL, before + number, total)
        means.append(mean / len(texts))
        before += len(side)
    yield Progress(_LABEL, before, total)
    return means[0] - means[1], (len(sides[0]), len(sides[1]))


def _common(
    model: OpenModel,
    request: SteeringRequest,
    sides: Sequence[Sequence[list[int]]],
    layers: tuple[int, ...],
) -> Generator[Progress | Notice, None, tuple[Doubles, tuple[int, ...]]]:
    """What the differences of pairs have in common in each layer, (layers, width).

    As in llama.cpp's cvector-generator: with all tokens, the shorter text of a pair gets spaces
    behind it, and every position is a difference. They are on the disk until they are needed.
    """
    import numpy as np

    from gptcli.engine.probes.directions import principal

    width, count = model.runner.spec.width, 0
    pairs = list(zip(*sides, strict=True))
    shape = (len(layers), width)
    with tempfile.TemporaryFile() as file:
        yield Progress(_LABEL, 0, 2 * len(pairs))
        for number, part in _differences(model, pairs, layers, last=request.position == "last"):
            try:
                file.write(part.data)
            except OSError as error:
                reason = error.strerror or str(error)
                raise ResourceError(tempfile.gettempdir(), reason) from None
            count += len(part)
            yield Progress(_LABEL, 2 * number, 2 * len(pairs))
        yield Progress(_LABEL, 2 * len(pairs), 2 * len(pairs))
        file.flush()
        every = np.memmap(file, np.float32, "r", shape=(count, *shape))
        found = np.zeros(shape)
        for place in range(len(layers)):
            yield Progress("principal directions", place, len(layers))
            found[place] = principal(partial(_column, every, place), count)
    return found, (count,)


def _column(every: Floats, place: int) -> Iterator[Floats]:
    """One layer's of rows that are on the disk, some at a time."""
    for start in range(0, len(every), _ROWS):
        yield every[start : start + _ROWS, place]


def _differences(
    model: OpenModel,
    pairs: Sequence[Sequence[list[int]]],
    layers: tuple[int, ...],
    *,
    last: bool,
) -> Iterator[tuple[int, Floats]]:
    """The number of a pair and parts of (positions, layers, width): of the last tokens, or of all,
    spaces among them.
    """
    from gptcli.engine.probes.activations import of_texts

    space = model.encode_part(" ")[-1:]

    def texts(side: int) -> Iterator[tuple[list[int], int]]:
        for pair in pairs:
            ids = pair[side]
            more = 0 if last else max(map(len, pair)) - len(ids)
            yield ids + space * more, len(ids) - 1 if last else 0

    sides = [of_texts(model.runner, texts(side), "stream", layers) for side in range(2)]
    for (number, plus), (_, minus) in zip(*sides, strict=True):
        yield number, plus - minus


def _checked(model: OpenModel, vectors: Doubles, request: SteeringRequest) -> Floats:
    """The directions as they are written. Raises NonFiniteError, and InputError for none."""
    import numpy as np

    if not np.isfinite(vectors).all():
        raise NonFiniteError(model.name, "has NaN or infinite numbers in its stream")
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    if not lengths.all():
        raise InputError("--plus", "has nothing that --minus has not: the model sees no difference")
    return (vectors / lengths if request.unit else vectors).astype(np.float32)
