"""Settings of the sampler, in words and as JSON."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from gptcli.types.sampling import Sampling


def as_json(sampling: Sampling) -> dict[str, Any]:
    """The settings by name; JSON has no infinity, so a bias that forbids a token is a text."""
    left_out = ("rules", "repeat_last")
    found = {f.name: getattr(sampling, f.name) for f in fields(sampling) if f.name not in left_out}
    if sampling.repeat_last:
        found["repeat_last"] = sampling.repeat_last
    if sampling.rules.names:
        found["model_rules"] = list(sampling.rules.names)
    found["logit_bias"] = {
        str(token): "-inf" if bias == float("-inf") else bias for token, bias in sampling.logit_bias
    }
    return found


def in_words(sampling: Sampling) -> str:
    """`temperature 0.8, min-p 0.05`: what is on, in the order in which it works."""
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


def stage_head(name: str, sampling: Sampling) -> str:
    """A stage's name, short, with its setting where that is one number: `top-p 0.9`."""
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
