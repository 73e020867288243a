"""Fields that completions and chats share: how to draw, where to end, what to tell of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gptcli.config import MOST, Limit, option_of
from gptcli.server.body import Fields
from gptcli.types.sampling import SamplingWish, seed_of

#: How many answers to one question, and how many texts end one of them.
SAMPLES, STOPS, STOP_LENGTH = 128, 16, 1000
#: How many tokens can be told of beside each that is drawn, and be given a bias.
TOP, BIASES = 100, 1024
_NUMBERS = ("temperature", "top_p", "min_p", "repeat_penalty", "presence_penalty")
#: What the command line does not have either: the field, what may be said in it, what is missing.
_NOT_HERE: tuple[tuple[str, tuple[Any, ...], str], ...] = (
    ("response_format", ({"type": "text"},), "only {'type': 'text'} can be had"),
    ("tools", ([],), "tools are not offered to the model"),
    ("tool_choice", ("none", "auto"), "tools are not offered to the model"),
    ("functions", ([],), "tools are not offered to the model"),
    ("function_call", ("none", "auto"), "tools are not offered to the model"),
    ("grammar", ("",), "grammars are not there"),
    ("json_schema", ({},), "grammars are not there"),
    ("guided_json", (), "grammars are not there"),
    ("guided_regex", (), "grammars are not there"),
    ("guided_choice", (), "grammars are not there"),
    ("guided_grammar", (), "grammars are not there"),
    ("structured_outputs", (), "grammars are not there"),
    ("modalities", (["text"],), "only text can be had"),
)


@dataclass(frozen=True)
class Wishes:
    """What was asked for. seed is the first answer's; each further one has the next."""

    sampling: SamplingWish
    seed: int
    samples: int
    stop: tuple[str, ...]
    stream: bool
    include_usage: bool


def wishes(fields: Fields) -> Wishes:
    """Take them. Raises ProblemError."""
    for name, allowed, why in _NOT_HERE:
        fields.only(name, allowed, why)
    options = fields.object("stream_options")
    include_usage = options.flag("include_usage")
    options.flag("include_obfuscation")
    options.done()
    sampling = _sampling(fields)
    return Wishes(
        sampling=sampling,
        seed=seed_of(sampling),
        samples=fields.whole("n", Limit(1, SAMPLES)) or 1,
        stop=fields.texts("stop", STOPS, STOP_LENGTH),
        stream=fields.flag("stream"),
        include_usage=include_usage,
    )


def new_tokens(fields: Fields, *names: str, default: int | None) -> int | None:
    """The most tokens to draw, by whichever name it was said; None for as many as there is room.

    -1 says the latter, as it does to the command line and to other servers.
    """
    found = [fields.whole(name, Limit(-1, MOST)) for name in names]
    said = next((each for each in found if each is not None), default)
    return None if said is None or said < 0 else said


def _sampling(fields: Fields) -> SamplingWish:
    numbers: dict[str, Any] = {
        name: fields.number(name, _limit(name)) for name in (*_NUMBERS, "frequency_penalty")
    }
    # -1 is "all of them" to others.
    top_k = fields.whole("top_k", Limit(-1, MOST))
    return SamplingWish(
        **numbers,
        top_k=None if top_k is None else max(top_k, 0),
        logit_bias=_biases(fields),
        seed=fields.whole("seed", _limit("seed")),
    )


def _limit(name: str) -> Limit:
    """The range that the command line gives it."""
    limit = option_of(SamplingWish, name).limit
    assert limit is not None
    return limit


def _biases(fields: Fields) -> tuple[tuple[str, float], ...]:
    """Ids, as digits, and what is added to their logits."""
    given = fields.take("logit_bias")
    if given is None:
        return ()
    if not isinstance(given, dict) or len(given) > BIASES:
        raise fields.invalid("logit_bias", f"must be an object of at most {BIASES} ids")
    for token, bias in given.items():
        if not (token.isascii() and token.isdecimal() and len(token) <= 10):
            raise fields.invalid("logit_bias", "must name tokens by their ids")
        number = isinstance(bias, int | float) and not isinstance(bias, bool)
        if not number or Limit(-100, 100).reason(bias) is not None:
            raise fields.invalid("logit_bias", "must give each token a number from -100 to 100")
    return tuple((str(int(token)), float(bias)) for token, bias in given.items())
