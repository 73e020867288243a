"""Settings of the sampler, in words and as JSON."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from typing import Any

from gptcli.config import key_of
from gptcli.types.sampling import NUMBERS, Sampling, SamplingWish


def as_json(sampling: Sampling | SamplingWish) -> dict[str, Any]:
    """The settings by name; JSON has no infinity, so a bias that forbids a token is a text.

    Of a wish, what a server was asked for: null where that was its own choice.
    """
    if isinstance(sampling, SamplingWish):
        wished = {name: getattr(sampling, name) for name in NUMBERS}
        return wished | {"logit_bias": _biases(sampling.logit_bias)}
    left_out = ("rules", "repeat_last")
    found = {f.name: getattr(sampling, f.name) for f in fields(sampling) if f.name not in left_out}
    if sampling.repeat_last:
        found["repeat_last"] = sampling.repeat_last
    if sampling.rules.names:
        found["model_rules"] = list(sampling.rules.names)
    return found | {"logit_bias": _biases(sampling.logit_bias)}


def _biases(pairs: Iterable[tuple[int | str, float]]) -> dict[str, Any]:
    return {str(token): "-inf" if bias == float("-inf") else bias for token, bias in pairs}


def in_words(sampling: Sampling | SamplingWish) -> str:
    """`temperature 0.8, min-p 0.05`: what is on, in the order in which it works.

    Of a wish, what a server was asked for; the rest is its own choice.
    """
    if isinstance(sampling, SamplingWish):
        said = {name: getattr(sampling, name) for name in NUMBERS}
        parts = [f"{key_of(name)} {value:g}" for name, value in said.items() if value is not None]
        count = len(sampling.logit_bias)
        parts += [f"a bias on {count} token{'s' if count > 1 else ''}"] if count else []
        return ", ".join([*parts, "else the server's own"]) if parts else "the server's own"
    parts = []
    if sampling.rules.names:
        parts.append(f"the model's own {', '.join(sampling.rules.names)}")
    if sampling.repeat_penalty != 1:
        last = f" over {sampling.repeat_last} tokens" if sampling.repeat_last else ""
        parts.append(f"repeat penalty {sampling.repeat_penalty:g}{last}")
    if sampling.presence_penalty:
        parts.append(f"presence penalty {sampling.presence_penalty:g}")
    if sampling.frequency_penalty:
        parts.append(f"frequency penalty {sampling.frequency_penalty:g}")
    if sampling.logit_bias:
        count = len(sampling.logit_bias)
        parts.append(f"a bias on {count} token{'s' if count > 1 else ''}")
    if sampling.temperature == 0:
        # Nothing comes after greedy.
        return ", ".join([*parts, "temperature 0 (greedy)"])
    parts.append(f"temperature {sampling.temperature:g}")
    if sampling.top_k:
        parts.append(f"top-k {sampling.top_k}")
    if sampling.top_p < 1:
        parts.append(f"top-p {sampling.top_p:g}")
    if sampling.min_p:
        parts.append(f"min-p {sampling.min_p:g}")
    return ", ".join(parts)


def stage_head(name: str, sampling: Sampling | SamplingWish) -> str:
    """A stage's name, short, with its setting where that is one number: `top-p 0.9`."""
    if isinstance(sampling, SamplingWish):
        return name
    heads = {
        "logits": "model",
        "model-biases": "biases",
        "model-rules": "rules",
        "repeat-penalty": f"repeat {sampling.repeat_penalty:g}",
        "presence/frequency-penalty": "counts",
        "logit-bias": "bias",
        "temperature": f"temp {sampling.temperature:g}",
        "top-k": f"top-k {sampling.top_k}",
        "top-p": f"top-p {sampling.top_p:g}",
        "min-p": f"min-p {sampling.min_p:g}",
    }
    return heads.get(name, name)
