"""The log-probability of each token of given texts, as far as a server tells those of a prompt."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gptcli.backends.base import refuse
from gptcli.backends.remote.asking import needs_completions
from gptcli.backends.remote.reading import Reader
from gptcli.backends.remote.remote_model import RemoteModel
from gptcli.backends.remote.tokens import bytes_of, cut, known_ids
from gptcli.types.question import Question
from gptcli.types.score import TokenScore
from gptcli.types.token import Token

#: How many texts are in one request.
_TOGETHER = 16
_WHY = "since it does not tell the log-probabilities of a prompt"
_HINT = "vLLM and gptcli serve do"


@dataclass(frozen=True)
class Scored:
    """A text's tokens, and `put`, how many the server puts before them (a BOS token).

    Only the very first token of all, with nothing before it, has no log-probability.
    """

    tokens: tuple[TokenScore, ...]
    put: int

    @property
    def ids(self) -> list[int]:
        """The ids of the text."""
        return known_ids([each.token for each in self.tokens])

    @property
    def data(self) -> bytes:
        """The bytes of all tokens."""
        return b"".join(each.token.bytes for each in self.tokens)


def check(model: RemoteModel, question: Question[Any]) -> None:
    """Raise UsageError where the server does not score."""
    needs_completions(model)
    if not model.server.scores:
        refuse(model.answered_by, question, _WHY, _HINT)


def scored(model: RemoteModel, texts: Sequence[str]) -> list[Scored]:
    """Each text by itself, in order; vLLM draws a token, which is thrown away. No text is empty."""
    found: list[Scored] = []
    for some in batched_texts(texts):
        found += _asked(model, some)
    return found


def batched_texts(texts: Sequence[str]) -> list[tuple[str, ...]]:
    """The texts, so many at once."""
    return [tuple(texts[at : at + _TOGETHER]) for at in range(0, len(texts), _TOGETHER)]


def border(model: RemoteModel, prefix: str, whole: Scored) -> int:
    """How many tokens of a text that begins with `prefix` are that prefix's own.

    As `text.continuation.split_continuation` has it: white space at its end goes over to what
    follows, and so does a token across the border.
    """
    alone = known_ids(cut(model, prefix.rstrip()))
    count = 0
    for ours, theirs in zip(alone, whole.ids, strict=False):
        if ours != theirs:
            break
        count += 1
    return count


def invented(whole: Scored, text: str, begin: int) -> int:
    """Bytes that the tokens from `begin` on have beyond the text: a space that nobody wrote."""
    return 0 if begin else len(whole.data) - len(text.encode())


def _asked(model: RemoteModel, texts: Sequence[str]) -> list[Scored]:
    read = Reader(model.place)
    pieces = [cut(model, text) for text in texts]
    body: dict[str, Any] = {
        "model": model.place.model,
        "prompt": list(texts),
        "temperature": 0,
    }
    if model.server.scores == "prompt_logprobs":
        body |= {"max_tokens": 1, "prompt_logprobs": 1, "return_token_ids": True}
    else:
        body |= {"max_tokens": 0, "echo": True, "logprobs": 1}
    said = read.mapping(model.link.post("/completions", body))
    rows = [read.mapping(each) for each in read.rows(said.get("choices"), "choices")]
    rows.sort(key=lambda row: read.index(row.get("index", 0), len(texts)))
    if [row.get("index", 0) for row in rows] != list(range(len(texts))):
        raise read.wrong("with other texts than were asked about")
    found = zip(rows, pieces, strict=True)
    if model.server.scores == "prompt_logprobs":
        return [_of_prompt(model, read, row, tokens) for row, tokens in found]
    return [_of_echo(read, row, tokens) for row, tokens in found]


def _of_prompt(
    model: RemoteModel, read: Reader, row: Mapping[str, Any], pieces: Sequence[Token]
) -> Scored:
    """vLLM's: an object for each token, by id, with rank and log-probability."""
    ids = read.rows(row.get("prompt_token_ids"), "prompt_token_ids")
    values = read.rows(row.get("prompt_logprobs"), "prompt_logprobs")
    put = len(ids) - len(pieces)
    if put < 0 or ids[put:] != known_ids(pieces) or len(values) != len(ids):
        raise read.wrong("that cuts the text in another way than /tokenize does")
    tokens = []
    for token, value in zip(pieces, values[put:], strict=True):
        if value is None:
            tokens.append(TokenScore(token))
            continue
        said = read.mapping(value, "whose prompt_logprobs are no objects")
        own = read.mapping(said.get(str(token.id)), "without the token's own log-probability")
        best = min(
            ((key, read.mapping(each)) for key, each in said.items()),
            key=lambda pair: -read.logprob(pair[1].get("logprob")),
        )
        first = token if best[0] == str(token.id) else _named(model, read, *best)
        tokens.append(
            TokenScore(
                token,
                read.logprob(own.get("logprob")),
                read.count(own.get("rank")),
                first,
                read.logprob(best[1].get("logprob")),
            )
        )
    return Scored(tuple(tokens), put)


def _of_echo(read: Reader, row: Mapping[str, Any], pieces: Sequence[Token]) -> Scored:
    """OpenAI's: nothing was drawn, so that all tokens are the prompt's."""
    said = read.mapping(row.get("logprobs"), "without logprobs")
    values = read.rows(said.get("token_logprobs"), "token_logprobs")
    rivals = said.get("top_logprobs")
    rivals = rivals if isinstance(rivals, list) else [None] * len(values)
    put = len(values) - len(pieces)
    if put < 0 or len(rivals) != len(values):
        raise read.wrong("that cuts the text in another way than /tokenize does")
    tokens = []
    for place, token in enumerate(pieces, put):
        value, others = values[place], rivals[place]
        if value is None and not place:
            tokens.append(TokenScore(token))
            continue
        # JSON has no infinity.
        logprob = -math.inf if value is None else read.logprob(value)
        best, top = None, None
        if isinstance(others, dict) and others:
            known = [(read.logprob(v), n) for n, v in others.items() if v is not None]
            # max keeps the first of equals, which is the likelier to the server.
            top, name = max(known, key=lambda pair: pair[0], default=(-math.inf, ""))
            best = token if top <= logprob else Token(None, read.spelled(name)[1])
        rank = 1 if top is not None and top <= logprob else None
        tokens.append(TokenScore(token, logprob, rank, best, top))
    return Scored(tuple(tokens), put)


def _named(model: RemoteModel, read: Reader, key: str, said: Mapping[str, Any]) -> Token:
    """A token that the text does not have; half a character has no text in `decoded_token`."""
    found, name = _whole(key), read.text(said.get("decoded_token"), "decoded_token").encode()
    return Token(found, bytes_of(model, found) if found is not None and not name else name)


def _whole(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else None


def total(scores: Sequence[TokenScore]) -> float:
    """The log-probability of all of them together."""
    return math.fsum(each.logprob or 0.0 for each in scores)
