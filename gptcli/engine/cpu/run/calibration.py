"""How much an error in each column of a matrix weighs: as the squares of what the column meets.

A product changes by Σ x · (what rounding leaves), whose mean square is Σ (mean of x²) · (what is
left)² where that knows nothing of x. So the model, rounded for a first time, in a hurry, is run
over the tokens of some text, and is rounded again. Which x are large depends little on the text, as
a model has some features that are large everywhere: tokens drawn by chance do where none is given.
"""

from __future__ import annotations

import ctypes as c
import random
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gptcli.engine.cpu.binding import calls
from gptcli.engine.cpu.binding.library import open_library
from gptcli.engine.cpu.packing.made_file import for_once
from gptcli.engine.cpu.packing.pack import Parameter, pack
from gptcli.engine.cpu.packing.quantise import Rounding
from gptcli.engine.cpu.packing.section import EMBEDDING, Kinds
from gptcli.engine.cpu.run.key_groups import KEY_GROUP
from gptcli.engine.cpu.run.model import KernelModel
from gptcli.engine.model.experts import Experts
from gptcli.engine.model.spec import ModelSpec
from gptcli.engine.state.model_state import new_state
from gptcli.types.compute import QUANTISED

Weights = dict[str, NDArray[np.float32]]
#: Ids of pieces of text, each a beginning.
Texts = Sequence[Sequence[int]]
#: So many texts of so many tokens are drawn; what the head reads counts at the last few.
TEXTS, TOKENS, WANTED = 4, 128, 16
#: No column weighs less than this part of the mean: chance may have missed what it is for. Those of
#: an embedding that is the head as well more, since its rows are read by themselves, too.
LEAST, LEAST_OF_TIED = 1e-3, 0.1
#: Which of what is added up a matrix reads.
_READS = {
    **dict.fromkeys(("query", "key", "value", "step", "strength"), "attention"),
    **dict.fromkeys(("before", "after"), "attention"),
    **dict.fromkeys(("gate", "up", "latent_in"), "mlp"),
    "out": "out",
    "down": "down",
    "latent_out": "latent_sum",
}


def rounding_for(
    dtype: str,
    spec: ModelSpec,
    kinds: Kinds,
    parameters: Mapping[str, Parameter],
    *,
    threads: int,
    directory: Path,
    texts: Texts = (),
) -> Rounding:
    """How the floats of a model are to be rounded: where a dtype does so, by what columns meet.

    texts: in what they meet it, drawn by chance where there are none. For that the model is packed
    once more, in a file in `directory` that goes with it, or in memory where that is not possible,
    and run by the best instructions that there are, so that those which --cpu-features names do not
    change any weight. Raises as packing does.
    """
    if dtype not in QUANTISED:
        return Rounding()
    library = open_library()
    given = spec, kinds, parameters, library
    quick, texts = Rounding(quick=True), texts or drawn(spec)
    try:
        rough = for_once(directory, *given, threads=threads, rounding=quick)
    except OSError:
        rough = pack(*given, threads=threads, rounding=quick)
    model = KernelModel(rough, library, context=max(map(len, texts)), threads=threads)
    try:
        return Rounding(column_weights(model, texts))
    finally:
        model.close()


def column_weights(model: KernelModel, texts: Texts) -> Weights:
    """For the sections of matrices that tokens go through: (columns), about 1 on average."""
    spec, sums = model.spec, _Sums(model.spec)
    for text in texts:
        state = new_state(spec, 1, np.empty(0, np.uint16), group=KEY_GROUP)
        state.reserve([len(text)])
        wanted = range(max(0, len(text) - WANTED), len(text))
        rows, positions = [0] * len(text), range(len(text))
        model.forward(text, rows, positions, state.layers, wanted, squares=sums.struct)
    return sums.weights(model.packed.places, model.packed.head)


def drawn(spec: ModelSpec) -> list[list[int]]:
    """Ids by chance, the same wherever they are drawn.

    Each power of two has as many of them, since tokens are numbered by how often they occur, about.
    """
    chance = random.Random(0)
    length = min(TOKENS, spec.context)
    # Past the last id by rounding, perhaps.
    return [
        [min(int(spec.vocab ** chance.random()), spec.vocab - 1) for _ in range(length)]
        for _ in range(TEXTS)
    ]


class _Sums:
    """Sums of squares, layer by layer."""

    def __init__(self, spec: ModelSpec) -> None:
        self._layers = (calls.LayerSquares * spec.layers)()
        self._kept: list[dict[str, NDArray[np.float64]]] = []
        for struct, shape, this in zip(self._layers, spec.shapes, spec.each_layer, strict=True):
            mixture = this.mixture and spec.experts is not None
            hidden = spec.experts.hidden if mixture and spec.experts else shape.hidden
            gathered = spec.gathered(shape)
            kept = {
                "attention": np.zeros(spec.width),
                "out": np.zeros(this.mixer.inner if not this.attends and this.mixer else gathered),
                "mlp": np.zeros(spec.width),
                "down": np.zeros(hidden),
            }
            if this.attends and this.mixer:
                kept["beside"] = np.zeros(this.mixer.inner)
            if mixture and spec.experts is not None:
                kept |= _beside(spec.experts, spec.width)
            if spec.layer_inputs is not None:
                kept |= {"told": np.zeros(spec.width), "told_out": np.zeros(spec.layer_inputs.size)}
            for name, array in kept.items():
                setattr(struct, name, array.ctypes.data)
            self._kept.append(kept)
        self._reads = _READS
        if spec.latents is not None:
            # What is read of latents, and head by head, is not added up.
            read = {"query_latent": "attention", "latent": "attention"}
            beside = {"value", "query"} if spec.latents.query_rank is not None else {"value"}
            self._reads = read | {n: r for n, r in _READS.items() if n not in beside}
        self._head = np.zeros(spec.width)
        self.struct = calls.Squares(c.addressof(self._layers), self._head.ctypes.data)

    def weights(self, names: Iterable[str], head: str) -> Weights:
        """Of sections by name; head: which of them is the unembedding."""
        found: Weights = {}
        for name in names:
            parts = name.split(".")
            if name == head:
                found[name] = _weights(self._head, LEAST_OF_TIED if name == EMBEDDING else LEAST)
            elif parts[-1] == "weight" and parts[-2] in self._reads:
                kept = self._kept[int(parts[1])]
                read = self._reads[parts[-2]]
                if parts[-2] == "gate" and parts[2] in ("attention", "mixer"):
                    read = "attention"
                elif parts[2] == "told":
                    read = "told" if read == "mlp" else "told_out"
                elif parts[2:4] == ["mixer", "out"] and "beside" in kept:
                    read = "beside"
                elif parts[3] == "shared" and read == "down":
                    read = "shared"
                elif parts[3] == "experts" and read == "mlp" and "latent" in kept:
                    read = "latent"
                found[name] = _weights(kept[read])
        return found


def _beside(experts: Experts, width: int) -> dict[str, NDArray[np.float64]]:
    """Of a shared expert, and of what only experts read."""
    found = {"latent": np.zeros(width)} if experts.apart else {}
    if experts.shared is not None:
        found["shared"] = np.zeros(experts.shared.hidden)
    if experts.latent is not None:
        found |= {"latent": np.zeros(experts.latent), "latent_sum": np.zeros(experts.latent)}
    return found


def _weights(squares: NDArray[np.float64], least: float = LEAST) -> NDArray[np.float32]:
    mean = squares.mean()
    if not np.isfinite(mean) or mean <= 0:  # a model of zeros, or one whose numbers overflow
        return np.ones(len(squares), dtype=np.float32)
    found: NDArray[np.float32] = (squares / mean + least).astype(np.float32)
    return found
