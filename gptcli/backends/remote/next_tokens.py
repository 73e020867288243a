"""What comes next: the likeliest tokens, as many as the server tells of."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from gptcli.backends.remote.asking import check_rivals, needs_completions
from gptcli.backends.remote.completion import usage_of
from gptcli.backends.remote.reading import Reader
from gptcli.backends.remote.remote_model import RemoteModel
from gptcli.backends.remote.tokens import bytes_of, control_names, is_control
from gptcli.config import key_of
from gptcli.types.completion import TokenInfo
from gptcli.types.events import Notice
from gptcli.types.next_tokens import Candidate, Distribution, NextTokensRequest
from gptcli.types.sampling import LISTS, NUMBERS, SamplingWish
from gptcli.types.token import Token

_OWN = "tells the model's own probabilities, before any sampler"


def answer(model: RemoteModel, request: NextTokensRequest) -> Distribution:
    """The likeliest tokens after the prompt, and what they cost."""
    needs_completions(model)
    _refuse_sampler(model, request)
    most = model.server.logprobs
    check_rivals(model, "top-k", 1, most)
    rows = min(request.rows, most)
    read = Reader(model.place)
    (row,), said = after(model, [request.prompt], rows)
    notices = [] if request.special else [*control_names(model, request.prompt, request.subject)]
    if len(row) < request.rows:
        notices.append(Notice("--rows", f"{model.answered_by} tells of {len(row)} tokens"))
    took = said.get("usage")
    counts = usage_of(read, {None: took} if isinstance(took, dict) else {})
    return Distribution(
        source=model.source,
        prompt=request.prompt,
        prompt_tokens=counts["prompt"],
        vocabulary=None,
        sampling=request.sampling,
        stages=(),
        candidates=tuple(_candidate(place, each) for place, each in enumerate(row, 1)),
        raw=None,
        drawn=None,
        notices=tuple(notices),
    )


def after(
    model: RemoteModel, prompts: Sequence[str | list[int]], most: int
) -> tuple[list[list[tuple[Token, float]]], Mapping[str, Any]]:
    """The likeliest tokens after each prompt with their log-probabilities, and all that was said.

    One token is drawn after each, and thrown away.
    """
    read = Reader(model.place)
    body: dict[str, Any] = {
        "model": model.place.model,
        "prompt": prompts[0] if len(prompts) == 1 else list(prompts),
        "max_tokens": 1,
        "temperature": 1,
        "logprobs": most,
    }
    if model.server.named_by_id:
        body["return_tokens_as_token_ids"] = True
    said = read.mapping(model.link.post("/completions", body))
    found: list[list[tuple[Token, float]] | None] = [None] * len(prompts)
    for each in read.rows(said.get("choices"), "choices"):
        choice = read.mapping(each, "whose choices are no objects")
        tokens = read.tokens(choice, most)
        if not tokens or not tokens[0].top_logprobs:
            raise read.wrong("without the tokens that may come")
        index = read.index(choice.get("index", 0), len(prompts))
        found[index] = [(_token(model, info), info.logprob) for info in tokens[0].top_logprobs]
    rows = [each for each in found if each is not None]
    if len(rows) < len(prompts):
        raise read.wrong("with fewer distributions than prompts")
    return rows, said


def _token(model: RemoteModel, info: TokenInfo) -> Token:
    data = info.bytes
    named = not data or info.token.startswith("token_id:")
    if named and info.id is not None and model.server.cutting:
        data = bytes_of(model, info.id)
    return Token(info.id, data, special=is_control(data))


def _candidate(place: int, found: tuple[Token, float]) -> Candidate:
    token, logprob = found
    probability = math.exp(logprob)
    return Candidate(place, token, None, logprob, probability, drawn=None, ends=None)


def _refuse_sampler(model: RemoteModel, request: NextTokensRequest) -> None:
    """Raise UsageError for what is about the sampler, or needs every token of the vocabulary."""
    wish: SamplingWish = request.sampling
    for name in NUMBERS:
        if getattr(wish, name) is not None:
            raise model.refuse(f"--{key_of(name)}", _OWN)
    for name, flag in LISTS.items():
        if getattr(wish, name):
            raise model.refuse(flag, _OWN)
    if wish.logit_bias:
        raise model.refuse("--logit-bias", _OWN)
    if request.by_drawn:
        raise model.refuse("--by-drawn", _OWN)
    if request.temperatures:
        raise model.refuse("--temperatures", "does not tell of all tokens")
    if request.whole:
        raise model.refuse("--compare, --compare-model", "does not tell of all tokens")
