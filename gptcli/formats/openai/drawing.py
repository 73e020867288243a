"""Fields that completions and chats share: how to draw, how often, and where to end."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from gptcli.config import MOST, Limit, option_of
from gptcli.formats.openai.fields import Fields
from gptcli.types.samplers import NO_BREAKERS, samplers
from gptcli.types.sampling import LISTS, NUMBERS, SamplingWish

_WHOLE = ("dry_allowed_length", "dry_penalty_last_n")
#: The fields by which it is said how to draw; those that OpenAI lacks are llama-server's.
SAMPLING = (*NUMBERS, *LISTS, "logit_bias", "seed")
#: What the command line does not have either: the field, what may be said in it, what is missing.
_NOT_HERE: tuple[tuple[str, tuple[Any, ...], str], ...] = (
    ("tools", ([],), "tools are not offered to the model"),
    ("tool_choice", ("none", "auto"), "tools are not offered to the model"),
    ("functions", ([],), "tools are not offered to the model"),
    ("function_call", ("none", "auto"), "tools are not offered to the model"),
    ("modalities", (["text"],), "only text can be had"),
)


@dataclass(frozen=True)
class Bounds:
    """How much may be asked for: answers to one question; texts that end one of them, and their
    characters; tokens that are told of beside each that is drawn; tokens with a bias.
    """

    samples: int = 128
    stops: int = 16
    stop_length: int = 1000
    top: int = 100
    biases: int = 1024


#: Of bodies that strangers may have written.
BOUNDS = Bounds()


@dataclass(frozen=True)
class Drawing:
    """How the answers to one question are drawn. seed: the first one's, None where none is said."""

    sampling: SamplingWish
    seed: int | None
    samples: int
    stop: tuple[str, ...]


def drawing(fields: Fields, default: Drawing, bounds: Bounds = BOUNDS) -> Drawing:
    """Take them; `default` has what is not said, but for a seed. Raises FieldError."""
    for name, allowed, why in _NOT_HERE:
        fields.only(name, allowed, why)
    ends, stop = fields.has("stop"), fields.texts("stop", bounds.stops, bounds.stop_length)
    return Drawing(
        sampling=sampling(fields, default.sampling, bounds),
        seed=fields.whole("seed", _limit("seed")),
        samples=fields.whole("n", Limit(1, bounds.samples)) or default.samples,
        stop=stop if ends else default.stop,
    )


def sampling(fields: Fields, default: SamplingWish, bounds: Bounds = BOUNDS) -> SamplingWish:
    """How each token is drawn; without a seed. Raises FieldError."""
    whole = ("top_k", *_WHOLE)
    found: dict[str, Any] = {
        name: fields.number(name, _limit(name)) for name in NUMBERS if name not in whole
    }
    found |= {name: fields.whole(name, _limit(name)) for name in _WHOLE}
    # -1 is "all of them" to others.
    top_k = fields.whole("top_k", Limit(-1, MOST))
    found["top_k"] = None if top_k is None else max(top_k, 0)
    found["logit_bias"] = _biases(fields, bounds.biases)
    found["samplers"] = _samplers(fields)
    if fields.has("dry_sequence_breakers"):
        given = fields.texts("dry_sequence_breakers", bounds.stops, bounds.stop_length)
        found["dry_sequence_breakers"] = given or NO_BREAKERS
    found["ban"] = fields.texts("ban", bounds.stops, bounds.stop_length) or None
    said = {name: value for name, value in found.items() if value is not None}
    return replace(default, seed=None, **said)


def new_tokens(fields: Fields, *names: str, default: int | None) -> int | None:
    """The most tokens to draw, by whichever name it was said; None for as many as there is room.

    -1 says the latter, as it does to the command line and to other servers.
    """
    said = [(name, fields.whole(name, Limit(-1, MOST))) for name in names]
    found = [(name, value) for name, value in said if value is not None]
    if len(found) > 1:
        raise fields.invalid(found[1][0], f"is {found[0][0]} by another name: one of them")
    limit = found[0][1] if found else default
    return None if limit is None or limit < 0 else limit


def _limit(name: str) -> Limit:
    """The range that the command line gives it."""
    limit = option_of(SamplingWish, name).limit
    assert limit is not None
    return limit


def _samplers(fields: Fields) -> tuple[str, ...] | None:
    """Their names, as a list or as the flag has them; None where nothing is said."""
    given = fields.take("samplers")
    if given is None:
        return None
    words = given if isinstance(given, list) else [given]
    if not all(isinstance(each, str) for each in words):
        raise fields.invalid("samplers", "must be a list of names")
    try:
        return samplers(";".join(words))
    except ValueError as error:
        raise fields.invalid("samplers", str(error)) from None


def _biases(fields: Fields, most: int) -> tuple[tuple[str, float], ...] | None:
    """Ids, as digits, and what is added to their logits; None where nothing is said."""
    given = fields.take("logit_bias")
    if given is None:
        return None
    if not isinstance(given, dict) or len(given) > most:
        raise fields.invalid("logit_bias", f"must be an object of at most {most} ids")
    for token, bias in given.items():
        if not (token.isascii() and token.isdecimal() and len(token) <= 10):
            raise fields.invalid("logit_bias", "must name tokens by their ids")
        number = isinstance(bias, int | float) and not isinstance(bias, bool)
        if not number or Limit(-100, 100).reason(bias) is not None:
            raise fields.invalid("logit_bias", "must give each token a number from -100 to 100")
    return tuple((str(int(token)), float(bias)) for token, bias in given.items())
