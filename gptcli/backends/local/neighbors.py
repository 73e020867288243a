"""Which tokens lie near a word: in the table of embeddings, or where it stands in a text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from gptcli.backends.local.looking import check_layer, check_rows
from gptcli.backends.local.open_model import OpenModel
from gptcli.errors import InputError
from gptcli.plain import dataclass
from gptcli.types.neighbors import Drift, How, Neighbor, Neighborhood, Neighbors, NeighborsRequest
from gptcli.types.token import Token

if TYPE_CHECKING:
    from gptcli.engine.arrays import Array


@dataclass(frozen=True)
class _Word:
    """A word as a vector, (width,), float32, and the ids that it is made of."""

    word: str
    how: How
    ids: list[int]
    vector: Array


def answer(model: OpenModel, request: NeighborsRequest) -> Neighbors:
    """Which tokens lie near words, or near a word in its context.

    Raises InputError for a context without the word, UsageError for a layer that is not there.
    """
    check_rows(model, request.rows)
    check_layer(model, request.layer, least=-1)
    drifts: tuple[Drift, ...] = ()
    if request.contexts:
        (word,) = request.words
        places = [_Place(model, word, text, special=request.special) for text in request.contexts]
        found = [place.neighborhood(request) for place in places] if request.nearest else []
        drifts = tuple(_drift(word, places[0], other) for other in places[1:])
    elif request.terms:
        found = [_near(model, request, _sum(model, request))]
    else:
        found = [_near(model, request, _word(model, word)) for word in request.words]
    spec = model.runner.spec
    return Neighbors(request, model.source, spec.vocab, spec.width, tuple(found), drifts)


def _word(model: OpenModel, word: str) -> _Word:
    """As it stands within a text: with a space before it, where that is one token."""
    if not word.strip():
        raise InputError("word", "is empty")
    bare = model.tokenizer.encode(word, inside=True)
    spaced = bare if word[0].isspace() else model.tokenizer.encode(f" {word}", inside=True)
    ids = bare if len(bare) == 1 and len(spaced) > 1 else spaced
    model.check_ids(ids, "word")
    how: How = "mean" if len(ids) > 1 else "spaced" if ids is spaced else "bare"
    return _Word(word, how, ids, _mean_row(model, ids))


def _mean_row(model: OpenModel, ids: list[int]) -> Array:
    """The mean of the rows of the input embedding, (width,), float32."""
    from gptcli.engine.arrays import namespace

    rows = model.runner.embeddings(ids)
    return namespace(rows).mean(rows, axis=0)


def _sum(model: OpenModel, request: NeighborsRequest) -> _Word:
    """Vectors are scaled to length 1 first, so that no word outweighs another by its length."""
    from gptcli.engine.probes import embeddings

    parts = [(term, _word(model, term.word)) for term in request.terms]
    units = [term.sign * embeddings.unit_length(each.vector) for term, each in parts]
    name = " ".join(f"{'+' if term.sign > 0 else '-'} {term.word}" for term in request.terms)
    ids = [token for _, each in parts for token in each.ids]
    return _Word(name.removeprefix("+ "), "sum", ids, sum(units[1:], units[0]))


def _near(model: OpenModel, request: NeighborsRequest, word: _Word) -> Neighborhood:
    from gptcli.engine.arrays import length

    words = [term.word for term in request.terms] or [word.word]
    found, left_out = _found(model, request, word.vector, words, word.ids)
    tokens = tuple(map(model.token, word.ids))
    norm = float(length(word.vector))
    return Neighborhood(word.word, word.how, tokens, norm, found, left_out)


def _found(
    model: OpenModel,
    request: NeighborsRequest,
    vector: Array,
    words: Sequence[str],
    own: Sequence[int],
) -> tuple[tuple[Neighbor, ...], int]:
    """The nearest tokens, and how many other spellings of the words were passed over."""
    from gptcli.engine.arrays import ranked
    from gptcli.engine.probes import embeddings

    cosines = embeddings.cosines(model.runner, vector[None])[0]
    forms = {_plain(word) for word in words}
    found: list[Neighbor] = []
    left_out = 0
    for token in ranked(cosines).tolist():
        if len(found) == request.rows:
            break
        each = model.token(token)
        if len(own) == 1 and token == own[0] and not request.contexts:
            continue
        if not request.forms and _plain(each.text) in forms:
            left_out += token not in own
            continue
        found.append(Neighbor(each, float(cosines[token])))
    return tuple(found), left_out


def _plain(text: str) -> str:
    return text.strip().casefold()


class _Place:
    """A word where it stands in a text, and the stream there after every layer."""

    def __init__(self, model: OpenModel, word: str, context: str, *, special: bool) -> None:
        from gptcli.engine.probes.streams import Streams

        self._model, self._word, self._context = model, word, context
        ids = model.encode(context, special=special, subject="--in")
        cut = model.tokenizer.cut(context, special=special)
        before = len(ids) - len(cut)
        first, end = _occurrence(word, context)
        inside = [at for at, (_, a, b) in enumerate(cut) if a < end and first < b]
        #: Its last token has seen the others.
        self.position = before + inside[-1]
        self.tokens: tuple[Token, ...] = tuple(model.token(cut[at][0]) for at in inside)
        self._ids = [cut[at][0] for at in inside]
        self.streams = Streams(range(self.position, self.position + 1))
        runner = model.runner
        runner.prefill([ids[: self.position + 1]], runner.new_state(), probe=self.streams)

    def neighborhood(self, request: NeighborsRequest) -> Neighborhood:
        from gptcli.engine.arrays import float32, length
        from gptcli.engine.probes import embeddings
        from gptcli.engine.probes.readout import read_out

        model = self._model
        layer = model.runner.spec.layers - 1 if request.layer is None else request.layer
        stream = self.streams.after(layer)
        found, left_out = _found(model, request, float32(stream[0]), [self._word], self._ids)
        row = _mean_row(model, self._ids)
        read = read_out(model.runner, stream, request.rows)
        says = zip(read.ids[0].tolist(), read.probabilities[0].tolist(), strict=True)
        return Neighborhood(
            word=self._word,
            how="context",
            tokens=self.tokens,
            norm=float(length(stream[0])),
            found=found,
            left_out=left_out,
            context=self._context,
            position=self.position,
            layer=layer,
            own=float(embeddings.cosine(stream[0], row)),
            says=tuple((model.token(token), chance) for token, chance in says),
        )

    def distances(self, other: _Place) -> Iterator[float]:
        from gptcli.engine.probes.embeddings import cosine

        for layer in range(-1, self._model.runner.spec.layers):
            pair = self.streams.after(layer)[0], other.streams.after(layer)[0]
            yield 1.0 - float(cosine(*pair))

    @property
    def context(self) -> str:
        return self._context


def _occurrence(word: str, context: str) -> tuple[int, int]:
    """The last place of the word, as a word of its own where it is one. Raises InputError."""
    whole = list(re.finditer(rf"(?<!\w){re.escape(word)}(?!\w)", context))
    place = whole[-1].start() if whole else context.rfind(word)
    if place < 0 or not word:
        raise InputError("--in", f"{context!r} does not hold {word!r}")
    return place, place + len(word)


def _drift(word: str, one: _Place, other: _Place) -> Drift:
    return Drift(word, (one.context, other.context), tuple(one.distances(other)))
