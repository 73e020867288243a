"""A transformer layer. Shapes: b batch, t time."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gptcli.engine.model.mixers import Recurrence
from gptcli.engine.model.spec import LayerSpec, ModelSpec
from gptcli.engine.torch.given import Given
from gptcli.engine.torch.latents import LatentAttention
from gptcli.engine.torch.layer_inputs import Told
from gptcli.engine.torch.mlp import MLP, Mixture
from gptcli.engine.torch.norm import Norm
from gptcli.engine.torch.recurrence import RecurrenceMixer, ShortConvMixer
from gptcli.engine.torch.scaled import scaled
from gptcli.engine.torch.self_attention import Attention


def _mixer(spec: ModelSpec, this: LayerSpec) -> nn.Module | None:
    if this.mixer is None:
        return None
    if isinstance(this.mixer, Recurrence):
        return RecurrenceMixer(this.mixer, spec.width, beside=this.attends)
    return ShortConvMixer(this.mixer, spec.width, beside=this.attends)


class Layer(nn.Module):
    """What mixes tokens, and MLP; each that is there reads the stream and adds its update to it."""

    def __init__(self, spec: ModelSpec, this: LayerSpec) -> None:
        super().__init__()
        before, after = spec.norms in ("before", "both"), spec.norms in ("after", "both")
        one = spec.blocks == "parallel_one_norm"
        shape = this.shape or spec.shape
        self.spec = spec
        mixes, thinks = this.mixes, this.thinks
        self.attention_norm = Norm(spec.norm, spec.width) if before and mixes else None
        self.attention: Attention | LatentAttention | None = None
        if this.attends and spec.latents is not None:
            self.attention = LatentAttention(spec, shape, spec.latents)
        elif this.attends:
            self.attention = Attention(spec, this)
        self.mixer = _mixer(spec, this)
        self.attention_post_norm = Norm(spec.norm, spec.width) if after and mixes else None
        self.mlp_norm = Norm(spec.norm, spec.width) if before and thinks and not one else None
        self.mlp: nn.Module | None = None
        if thinks and this.mixture and spec.experts is not None:
            self.mlp = Mixture(spec, spec.experts)
        elif thinks:
            self.mlp = MLP(spec, shape.hidden)
        self.mlp_post_norm = Norm(spec.norm, spec.width) if after and thinks else None
        told = spec.layer_inputs
        self.told = None if told is None else Told(spec, told)
        self.scale = nn.Parameter(torch.empty(1)) if spec.layer_scales else None

    def forward(self, stream: Tensor, given: Given, told: Tensor | None) -> Tensor:
        """(b, t, width) → (b, t, width).

        Points: those of Attention, a mixer and Mixture, "attention", "mlp" and "told". "attention"
        is also what a mixer adds that stands in its place, or with it what one beside. told: (b, t,
        size), see LayerInputs.
        """
        stream = self._blocks(stream, given)
        if self.told is not None and told is not None:
            stream = stream + given.passing("told", self.told(stream, told))
        return stream if self.scale is None else stream * self.scale

    def _blocks(self, stream: Tensor, given: Given) -> Tensor:
        before, read = stream, stream
        if self.attention is not None or self.mixer is not None:
            read = stream if self.attention_norm is None else self.attention_norm(stream)
            mixers = (self.attention, self.mixer)
            said = [mixes(read, given) for mixes in mixers if mixes is not None]
            update = self._finished(sum(said[1:], said[0]), self.attention_post_norm)
            stream = stream + given.passing("attention", update)
        if self.mlp is None:
            return stream
        source = stream if self.spec.blocks == "serial" else before
        if self.spec.blocks != "parallel_one_norm":
            read = source if self.mlp_norm is None else self.mlp_norm(source)
        mixture = isinstance(self.mlp, Mixture)
        thought = self.mlp(read, source, given) if mixture else self.mlp(read)
        return stream + given.passing("mlp", self._finished(thought, self.mlp_post_norm))

    def _finished(self, update: Tensor, norm: Norm | None) -> Tensor:
        if norm is not None:
            update = norm(update)
        return scaled(update, self.spec.residual_scale)
