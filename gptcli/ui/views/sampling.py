"""Settings of the sampler, in words and as JSON."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from gptcli.config import key_of
from gptcli.types.sampling import LISTS, NUMBERS, USUAL, Sampling, SamplingWish


def as_json(sampling: Sampling | SamplingWish) -> dict[str, Any]:
    """The settings by name; JSON has no infinity, so a bias that forbids a token is a text.

    Of a wish, what a server was asked for: null where that was its own choice. What not everybody
    knows is there where it is on.
    """
    found = {name: getattr(sampling, name) for name in USUAL}
    if isinstance(sampling, SamplingWish):
        names = [name for name in NUMBERS if name not in USUAL]
        found |= {name: value for name in names if (value := getattr(sampling, name)) is not None}
        found |= {name: list(said) for name in LISTS if (said := getattr(sampling, name))}
        return found | {"logit_bias": _biases(sampling.logit_bias)}
    if sampling.repeat_last:
        found["repeat_last"] = sampling.repeat_last
    found |= _more(sampling)
    found |= {"samplers": list(sampling.samplers)} if sampling.samplers else {}
    found |= {"ban": list(sampling.banned)} if sampling.banned else {}
    if sampling.rules.names:
        found["model_rules"] = list(sampling.rules.names)
    return found | {"logit_bias": _biases(sampling.logit_bias)}


def _more(sampling: Sampling) -> dict[str, Any]:
    names: list[str] = []
    if sampling.dry:
        names += ["dry_multiplier", "dry_base", "dry_allowed_length", "dry_penalty_last_n"]
    if sampling.top_n_sigma > 0:
        names.append("top_n_sigma")
    if sampling.typical_p < 1:
        names.append("typical_p")
    if sampling.xtc:
        names += ["xtc_probability", "xtc_threshold"]
    if sampling.dynamic:
        names += ["dynatemp_range", "dynatemp_exponent"]
    found = {name: getattr(sampling, name) for name in names}
    if sampling.dry:
        found["dry_sequence_breakers"] = list(sampling.dry_sequence_breakers)
    return found


def _biases(pairs: Iterable[tuple[int | str, float]]) -> dict[str, Any]:
    return {str(token): "-inf" if bias == float("-inf") else bias for token, bias in pairs}


def in_words(sampling: Sampling | SamplingWish) -> str:
    """`temperature 0.8, min-p 0.05`: what is on, in the order in which it works.

    Of a wish, what a server was asked for; the rest is its own choice.
    """
    if isinstance(sampling, SamplingWish):
        said = {name: getattr(sampling, name) for name in NUMBERS}
        parts = [f"{key_of(name)} {value:g}" for name, value in said.items() if value is not None]
        parts += [
            f"{flag.removeprefix('--')} {'; '.join(map(repr, words))}"
            for name, flag in LISTS.items()
            if (words := getattr(sampling, name))
        ]
        count = len(sampling.logit_bias)
        parts += [f"a bias on {count} token{'s' if count > 1 else ''}"] if count else []
        return ", ".join([*parts, "else the server's own"]) if parts else "the server's own"
    parts = []
    if sampling.rules.names:
        parts.append(f"the model's own {', '.join(sampling.rules.names)}")
    order = sampling.order
    if order[:1] == ("penalties",):
        parts += _parts(sampling, "penalties")
        order = order[1:]
    if sampling.logit_bias:
        count = len(sampling.logit_bias)
        parts.append(f"a bias on {count} token{'s' if count > 1 else ''}")
    for name in order:
        parts += _parts(sampling, name)
        if name == "temperature" and sampling.temperature == 0:
            # Nothing comes after greedy.
            break
    if sampling.banned:
        parts.append(f"without {', '.join(map(repr, sampling.banned))}")
    return ", ".join(parts) or "the model's own probabilities"


def _parts(sampling: Sampling, sampler: str) -> list[str]:
    """What a sampler does, in words; nothing where it is off."""
    match sampler:
        case "penalties":
            last = f" over {sampling.repeat_last} tokens" if sampling.repeat_last else ""
            found = {
                "repeat penalty": (sampling.repeat_penalty, 1, last),
                "presence penalty": (sampling.presence_penalty, 0, ""),
                "frequency penalty": (sampling.frequency_penalty, 0, ""),
            }
            return [
                f"{name} {value:g}{more}"
                for name, (value, off, more) in found.items()
                if value != off
            ]
        case "dry" if sampling.dry:
            last = f"over {sampling.dry_penalty_last_n} tokens"
            return [f"DRY {sampling.dry_multiplier:g} × {sampling.dry_base:g}ⁿ {last}"]
        case "temperature" if sampling.temperature == 0:
            return ["temperature 0 (greedy)"]
        case "temperature" if sampling.dynamic:
            return [f"temperature {sampling.temperature:g} ± {sampling.dynatemp_range:g}"]
        case "temperature":
            return [f"temperature {sampling.temperature:g}"]
        case "top_n_sigma" if sampling.top_n_sigma > 0:
            return [f"top-n-sigma {sampling.top_n_sigma:g}"]
        case "top_k" if sampling.top_k:
            return [f"top-k {sampling.top_k}"]
        case "typ_p" if sampling.typical_p < 1:
            return [f"typical-p {sampling.typical_p:g}"]
        case "top_p" if sampling.top_p < 1:
            return [f"top-p {sampling.top_p:g}"]
        case "min_p" if sampling.min_p:
            return [f"min-p {sampling.min_p:g}"]
        case "xtc" if sampling.xtc:
            share = f"{sampling.xtc_probability:g} of the time"
            return [f"XTC above {sampling.xtc_threshold:g}, {share}"]
        case _:
            return []


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
        "dynamic-temperature": f"temp {sampling.temperature:g}±{sampling.dynatemp_range:g}",
        "dry": f"dry {sampling.dry_multiplier:g}",
        "top-n-sigma": f"σ {sampling.top_n_sigma:g}",
        "top-k": f"top-k {sampling.top_k}",
        "typical-p": f"typ-p {sampling.typical_p:g}",
        "xtc": f"xtc {sampling.xtc_probability:g}",
        "top-p": f"top-p {sampling.top_p:g}",
        "min-p": f"min-p {sampling.min_p:g}",
    }
    return heads.get(name, name)
