"""The distribution over the next token as JSON, tokens in OpenAI's shape."""

from __future__ import annotations

import math
from typing import Any

from gptcli.types.comparison import Comparison
from gptcli.types.next_tokens import AtStage, Candidate, Distribution, Spread, Step
from gptcli.types.token import Token
from gptcli.ui.views import source
from gptcli.ui.views.sampling import as_json


def distribution(found: Distribution, *, stages: bool = False) -> dict[str, Any]:
    """Everything that there is to tell; entropies in bits, log-probabilities natural."""
    return {
        "object": "next_tokens",
        **source.fields(found.source),
        "prompt": found.prompt,
        "usage": {"prompt_tokens": found.prompt_tokens},
        "sampling": as_json(found.sampling),
        **_numbers(found, stages=stages),
    }


def walk(prompt: str, seed: int, steps: list[Step], text: str, reason: str) -> dict[str, Any]:
    """All steps of a walk: what was taken, and from which distribution."""
    first = steps[0].distribution
    return {
        "object": "next_tokens.walk",
        **source.fields(first.source),
        "seed": seed,
        "prompt": prompt,
        "usage": {
            "prompt_tokens": first.prompt_tokens,
            "completion_tokens": sum(not step.taken.ends for step in steps),
        },
        "sampling": as_json(first.sampling),
        "text": text,
        "finish_reason": reason,
        "steps": [
            {
                "step": step.number,
                **_candidate(step.distribution, step.taken),
                "distribution": _numbers(step.distribution),
            }
            for step in steps
        ],
    }


def comparison(found: Comparison) -> dict[str, Any]:
    """Distributions, their tokens beside each other, and divergences from the first in bits."""
    divergences = [
        None
        if each is None
        else {
            "kl": finite(each.forward),
            "kl_reverse": finite(each.backward),
            "js": each.jensen_shannon,
        }
        for each in found.divergences
    ]
    return {
        "object": "next_tokens.comparison",
        **source.fields(found.distributions[0].source),
        "distributions": [distribution(each) for each in found.distributions],
        "tokens": [
            {**token(each.token), "probabilities": list(each.probabilities)}
            for each in found.tokens
        ],
        "divergences": divergences,
    }


def token(found: Token) -> dict[str, Any]:
    """`{token, id, bytes}`."""
    return {"token": found.text, "id": found.id, "bytes": list(found.bytes)}


def finite(value: float) -> float | None:
    """JSON has no infinities: they become null."""
    return value if math.isfinite(value) else None


def _numbers(found: Distribution, *, stages: bool = False) -> dict[str, Any]:
    numbers: dict[str, Any] = {
        "vocabulary": found.vocabulary,
        "stages": list(found.stages),
        "raw": _spread(found.raw, found.raw_mass),
        "drawn": _spread(found.drawn, found.drawn_mass),
        "top_logprobs": [_candidate(found, each, stages=stages) for each in found.candidates],
    }
    if found.temperatures:
        numbers["temperatures"] = [
            {
                "temperature": value,
                **_spread(spread, sum(each.at_temperatures[i] for each in found.candidates)),
            }
            for i, (value, spread) in enumerate(found.temperatures)
        ]
    return numbers


def _candidate(found: Distribution, each: Candidate, *, stages: bool = False) -> dict[str, Any]:
    shown = {
        **token(each.token),
        "rank": each.rank,
        "logit": finite(each.logit),
        "logprob": finite(each.logprob),
        "probability": each.probability,
        "drawn": each.drawn,
        "cut_by": each.cut_by,
    }
    if stages:
        shown["stages"] = [
            _at_stage(name, at) for name, at in zip(found.stages, each.stages, strict=True)
        ]
    if each.at_temperatures:
        shown["at_temperatures"] = list(each.at_temperatures)
    return shown


def _at_stage(name: str, at: AtStage) -> dict[str, Any]:
    return {"name": name, "logit": finite(at.logit), "probability": at.probability}


def _spread(spread: Spread, mass: float) -> dict[str, Any]:
    return {
        "entropy": spread.entropy,
        "choices": spread.choices,
        "tokens": spread.tokens,
        "mass": mass,
    }
