"""Direct logit attribution: what each part of the stream adds to a logit, or to their difference.

The last stream is a sum, and all behind it but the norm's scale is linear: with that scale as it
is, each term adds to the logit what it is along one direction, and all of them together are it.
Norms of updates, and what heads say through their output projection, are taken apart likewise.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from gptcli.engine import arrays
from gptcli.engine.arrays import Array
from gptcli.engine.model.spec import ModelSpec, NormSpec
from gptcli.engine.points import heads_of
from gptcli.engine.probes.streams import Streams
from gptcli.engine.runner import Runner

Doubles = NDArray[np.float64]
#: A "mixer" stands beside attention; a "bias" is that of a layer's output projection, or of layer
#: -1 what the final norm and the head add; "rounding" is what numbers lose that meet weights.
PartName = Literal[
    "embedding", "attention", "head", "mixer", "bias", "mlp", "told", "layer", "rounding"
]
By = Literal["head", "mlp", "layer"]
#: Bytes of an output projection that are held in float32 at once.
_BYTES = 1 << 26


@dataclass(frozen=True)
class Part:
    """What a part adds. layer: -1 where it is of none; head: None where it is all of them."""

    name: PartName
    layer: int
    head: int | None
    adds: float


@dataclass(frozen=True)
class Parts:
    """All parts, whose sum is `logit`: before the soft cap, where the model has one."""

    parts: tuple[Part, ...]
    logit: float


def parts_of(
    runner: Runner, streams: Streams, token: int, versus: int | None = None, *, by: By = "head"
) -> Parts:
    """The parts of a token's logit at the one position of `streams`, which keeps heads.

    versus: the token whose logit is taken off.
    """
    spec = runner.spec
    weights = _Weights(runner)
    last = _numbers(streams.after(spec.layers - 1))
    wanted, constant = _read_out(weights, last, token, versus)
    directions = list[Doubles]()
    scale = 1.0
    for layer in reversed(range(spec.layers)):
        scale *= runner.layer_scale(layer)
        directions.insert(0, wanted * scale)
    found = [Part("embedding", -1, None, _along(wanted * scale, streams.embedding))]
    for layer, direction in enumerate(directions):
        found += _of_layer(weights, streams, layer, direction, by)
    if constant:
        found.append(Part("bias", -1, None, constant))
    logit = _logit(runner, weights, streams, token) - (
        0.0 if versus is None else _logit(runner, weights, streams, versus)
    )
    rest = logit - sum(each.adds for each in found)
    return Parts((*found, Part("rounding", -1, None, rest)), logit)


class _Weights:
    """A runner's vectors, in float64 on this side of a GPU."""

    def __init__(self, runner: Runner) -> None:
        self.runner, self.spec = runner, runner.spec

    def vector(self, name: str) -> Doubles | None:
        """All of a parameter, None for none."""
        found = self.runner.weights(name)
        return None if found is None else _numbers(found)

    def row(self, name: str, at: int) -> Doubles:
        """One row, or one number, of a parameter; 0 for none."""
        found = self.runner.weights(name, [at])
        return np.zeros(1) if found is None else _numbers(found)

    def before_norm(self, name: str, direction: Doubles) -> tuple[Doubles, float]:
        """What a direction behind a norm is before it, but for the norm's scale.

        And what the norm's bias is along it.
        """
        weight, bias = self.vector(f"{name}.weight"), self.vector(f"{name}.bias")
        before = direction if weight is None else direction * weight
        if self.spec.norm.kind == "layernorm":
            before = before - before.mean()
        return before, 0.0 if bias is None else float(bias @ direction)


def _read_out(
    weights: _Weights, last: Doubles, token: int, versus: int | None
) -> tuple[Doubles, float]:
    """The direction of the logit in the last stream, and what is added to it whatever that is."""
    spec = weights.spec
    head = weights.row("unembedding.weight", token)
    bias = float(weights.row("head_bias", token)[0])
    if versus is not None:
        head = head - weights.row("unembedding.weight", versus)
        bias -= float(weights.row("head_bias", versus)[0])
    direction, constant = weights.before_norm("final_norm", head)
    scale = spec.logit_scale * _scale_of(spec.norm, last)
    return direction * scale, (constant + bias) * spec.logit_scale


def _logit(runner: Runner, weights: _Weights, streams: Streams, token: int) -> float:
    """A token's logit before the soft cap: as the model has it, or where that is behind it."""
    spec, last = runner.spec, streams.after(runner.spec.layers - 1)
    if spec.final_softcap is None:
        return float(runner.logits_of_streams(last)[0, token])
    head, normed = weights.row("unembedding.weight", token), _numbers(runner.normed(last))
    return spec.logit_scale * float(normed @ head + weights.row("head_bias", token)[0])


def _of_layer(
    weights: _Weights, streams: Streams, layer: int, direction: Doubles, by: By
) -> list[Part]:
    updates: list[tuple[PartName, Array | None]] = [
        ("attention", streams.attention(layer)),
        ("mlp", streams.mlp(layer)),
        ("told", streams.told(layer)),
    ]
    found = [
        Part(name, layer, None, _along(direction, update))
        for name, update in updates
        if update is not None
    ]
    if by == "layer":
        return [Part("layer", layer, None, sum(each.adds for each in found))]
    heads = streams.heads(layer)
    if by == "mlp" or heads is None or _is_hidden(weights.spec, layer):
        return found
    apart = _of_heads(weights, heads, layer, direction)
    if weights.spec.each_layer[layer].beside:
        said = found[0].adds - sum(each.adds for each in apart)
        apart.append(replace(found[0], name="mixer", adds=said))
    return [*apart, *found[1:]]


def _is_hidden(spec: ModelSpec, layer: int) -> bool:
    """Whether nobody sees what a mixer beside attention says, which a norm then scales."""
    return spec.each_layer[layer].beside and spec.norms != "before"


def _of_heads(weights: _Weights, heads: Array, layer: int, direction: Doubles) -> list[Part]:
    """Each head's part, and that of biases behind them, where there are any."""
    spec, runner = weights.spec, weights.runner
    at, this = f"layers.{layer}", spec.each_layer[layer]
    name, factor = f"{at}.attention.out", spec.attention_out_scale
    if not this.attends:
        name, factor = f"{at}.mixer.out", getattr(this.mixer, "out_scale", 1.0)
    direction, constant = direction * spec.residual_scale, 0.0
    normed = spec.norms in ("after", "both")
    if normed:
        direction, constant = weights.before_norm(f"{at}.attention_post_norm", direction)
    said, along = _projected(runner, f"{name}.weight", heads, direction)
    bias = weights.vector(f"{name}.bias")
    if bias is not None:
        said = said + bias
    scale = factor * (_scale_of(spec.norm, said * factor) if normed else 1.0)
    if bias is not None:
        constant += scale * float(bias @ direction)
    count, size = heads_of(spec, layer)
    each = (_numbers(heads) * along).reshape(count, size).sum(-1) * scale
    found = [Part("head", layer, head, adds) for head, adds in enumerate(each.tolist())]
    return [*found, Part("bias", layer, None, constant)] if constant else found


def _projected(
    runner: Runner, name: str, heads: Array, direction: Doubles
) -> tuple[Doubles, Doubles]:
    """What an output projection W makes of `heads` (1, columns), and Wᵀ · direction (columns)."""
    read = arrays.float32(heads)[0]
    xp = arrays.namespace(read)
    wanted = xp.asarray(direction.astype(np.float32), device=read.device)
    count = max(_BYTES // (4 * read.shape[0]), 1)
    said, along = [], np.zeros(read.shape[0])
    for start in range(0, len(direction), count):
        part = runner.weights(name, range(start, min(start + count, len(direction))))
        assert part is not None
        said.append(_numbers(part @ read))
        along += _numbers(wanted[start : start + count] @ part)
    return np.concatenate(said), along


def _scale_of(norm: NormSpec, numbers: Doubles) -> float:
    """What the norm of these multiplies by."""
    if norm.kind == "layernorm":
        numbers = numbers - numbers.mean()
    return float(1 / np.sqrt(np.mean(numbers * numbers) + norm.eps))


def _along(direction: Doubles, update: Array) -> float:
    return float(_numbers(update) @ direction)


def _numbers(found: Array) -> Doubles:
    """An array of one row or none as a vector, in float64."""
    return arrays.host(arrays.float32(found)).astype(np.float64).reshape(-1)
