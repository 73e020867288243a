"""The one decoder that every family runs through: ids → residual stream → logits."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gptcli.engine.model.spec import ModelSpec
from gptcli.engine.state.forward_state import ForwardState
from gptcli.engine.torch.changed import Changes
from gptcli.engine.torch.given import Given, Lent
from gptcli.engine.torch.layer_inputs import ToldToLayers
from gptcli.engine.torch.layers import Layer
from gptcli.engine.torch.masks import added, places, slopes, visible, with_distance
from gptcli.engine.torch.mlp import MLP
from gptcli.engine.torch.norm import Norm
from gptcli.engine.torch.rope import Rotation, amplitude, angles, inverse_frequencies, whole
from gptcli.engine.torch.scaled import scaled
from gptcli.engine.torch.self_attention import Attention
from gptcli.engine.torch.shown import Shown
from gptcli.engine.torch.table import Table


class Decoder(nn.Module):
    """Embedding, layers, final norm, unembedding, as the spec says.

    `prepare` must have been called once its weights are in place, before it runs.
    """

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__()
        self.spec = spec
        self.embedding = Table(spec.vocab, spec.width)
        self.embedding_norm = Norm(spec.norm, spec.width) if spec.embedding_norm else None
        self.positions = Table(spec.context, spec.width) if spec.learned_positions else None
        told = spec.layer_inputs
        self.layer_inputs = None if told is None else ToldToLayers(spec, told)
        self.layers = nn.ModuleList(Layer(spec, this) for this in spec.each_layer)
        self.final_norm = Norm(spec.norm, spec.width)
        self.unembedding = None if spec.tied else Table(spec.vocab, spec.width)
        self.head_bias = nn.Parameter(torch.empty(spec.vocab)) if spec.head_bias else None
        # Layers that turn alike, or see equally far, share what is computed for that.
        self.ropes = list(dict.fromkeys(each.rope for each in spec.each_layer if each.rope))
        # By which of them all features of heads turn, half with half.
        dims = set() if spec.latents else {shape.head_dim for shape in spec.shapes}
        self.halves = [not rope.interleaved and dims == {rope.dim} for rope in self.ropes]
        # What a layer sees: how far, and where distance counts, with so many heads.
        heads = [0 if spec.alibi is None else shape.heads for shape in spec.shapes]
        layers = zip(spec.each_layer, heads, strict=True)
        sights = [(each.window, each.chunk, n) for each, n in layers]
        self.sights = list(dict.fromkeys(sights))
        self.uses = [
            (self.ropes.index(each.rope) if each.rope else None, self.sights.index(sight))
            for each, sight in zip(spec.each_layer, sights, strict=True)
        ]
        self.frequencies: list[Tensor] = []
        self.slopes: dict[int, Tensor] = {}
        self.scale = spec.embedding_scale

    def prepare(self, context: int) -> None:
        """Compute what stays the same from step to step, for at most `context` tokens."""
        weight = self.embedding.weight
        self.frequencies = [inverse_frequencies(r, weight.device, context) for r in self.ropes]
        self.scale = torch.tensor(self.spec.embedding_scale, dtype=weight.dtype).item()
        if self.layer_inputs is not None:
            self.layer_inputs.prepare()
        if self.spec.alibi is not None:
            self.slopes = {
                heads: slopes(heads, weight.device) * self.spec.alibi for _, _, heads in self.sights
            }

    def join(self) -> None:
        """Have layers that read the same do it together, where a device's time goes by what it is
        told. No weight may be changed afterwards.
        """
        for layer in self.layers:
            for each in (layer.attention, layer.mlp):
                if isinstance(each, Attention | MLP):
                    each.join()

    def forward(
        self,
        ids: Tensor,
        state: ForwardState,
        counts: list[int] | None = None,
        shown: Shown | None = None,
        changes: Changes | None = None,
    ) -> Tensor:
        """The residual stream after the last layer, (batch, time, width), before the final norm.

        ids: (batch, time), appended to `state`, which must have room (`ForwardState.reserve`).
        counts: how many ids of each row are real, where rows are padded on the right.
        Points: "embedding", those of each Layer, "stream" after each. shown: who looks on there;
        changes: what is changed there.
        """
        time = ids.size(1)
        at = state.positions(time, ids.device)
        outside = Given(-1, state, None, None, {}, shown, changes)
        stream = outside.passing("embedding", self._embedded(ids, at))
        turns = [
            Rotation(*angles(each, at, stream.dtype, amplitude(rope)), rope.interleaved)
            for each, rope in zip(self.frequencies, self.ropes, strict=True)
        ]
        if state.fixed:
            # What a device is told to do takes it longer than these sums.
            pairs = zip(turns, self.halves, strict=True)
            turns = [whole(turn) if halves else turn for turn, halves in pairs]
        masks: dict[object, Tensor | None] = {}
        told = None if self.layer_inputs is None else self.layer_inputs(ids, stream)
        read = {each.reads for each in self.spec.each_layer if each.reads is not None}
        lent: Lent = dict.fromkeys(read)
        for index, (layer, (rope, sight)) in enumerate(zip(self.layers, self.uses, strict=True)):
            turn = None if rope is None else turns[rope]
            own = None if told is None else told[:, :, index]
            origins = state.origins(self.spec.source(index))
            seen = sight, None if origins is None else tuple(origins)
            if seen not in masks:
                masks[seen] = self._mask(sight, at, state, origins)
            given = Given(index, state, masks[seen], turn, lent, shown, changes, origins)
            stream = given.passing("stream", layer(stream, given, own))
        state.advance([time] * ids.size(0) if counts is None else counts)
        return stream

    def _mask(
        self, sight: int, at: Tensor, state: ForwardState, origins: list[int] | None
    ) -> Tensor | None:
        """What layers of a sight add to their scores, or may see, of keys from the origins on."""
        window, chunk, heads = self.sights[sight]
        time = at.size(-1)
        # (batch or 1, time) queries meet keys up to the end of the longest row.
        total = state.reach(time)
        if origins is not None:
            held = [n - begin for n, begin in zip(state.lengths, origins, strict=True)]
            total = max(held) + time
        keys = places(total, origins, at.device)
        mask = visible(at, keys, window, chunk)
        dtype = self.embedding.weight.dtype
        if self.slopes:
            return with_distance(mask, at, keys, self.slopes[heads], dtype)
        # Here once, which attention would do in each layer, where it cannot be seen what is masked.
        return added(mask, dtype) if state.fixed and mask is not None else mask

    def _embedded(self, ids: Tensor, at: Tensor) -> Tensor:
        stream = F.embedding(ids, self.embedding.weight)
        stream = scaled(stream, self.scale)
        if self.positions is not None:
            # Padding may stand beyond the last position; what it computes is never read.
            stream = stream + F.embedding(
                at.clamp(max=self.spec.context - 1), self.positions.weight
            )
        return stream if self.embedding_norm is None else self.embedding_norm(stream)

    def logits(self, stream: Tensor) -> Tensor:
        """(…, width) → (…, vocab), float32: one number for each token, larger is likelier."""
        head = self.embedding if self.unembedding is None else self.unembedding
        logits = F.linear(self.final_norm(stream), head.weight, self.head_bias).float()
        logits = scaled(logits, self.spec.logit_scale)
        if self.spec.final_softcap is not None:
            logits = self.spec.final_softcap * torch.tanh(logits / self.spec.final_softcap)
        return logits
