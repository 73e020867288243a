"""A model that control vectors move: what they add, as edits of every pass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from gptcli.errors import ModelError, UsageError
from gptcli.types.models import SteerRef

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from gptcli.engine.runner import Runner

    Directions = Mapping[int, NDArray[np.float32]]


def steered(runner: Runner, by: Sequence[SteerRef]) -> Runner:
    """The same model, with what the control vectors add to its stream.

    Raises ModelError for a file that is none, or of a model of another width or of more layers, and
    UsageError where a range of layers leaves nothing of one.
    """
    from gptcli.engine.edits import Edit

    total: dict[int, NDArray[np.float32]] = {}
    for ref in by:
        for layer, vector in _directions(runner, ref).items():
            # In llama.cpp's order, so that the same files are the same numbers.
            total[layer] = total[layer] + vector if layer in total else vector
    # What adds up to nothing is left out, so that no number goes through an addition of it.
    edits = [Edit("stream", layer, add=each) for layer, each in sorted(total.items()) if each.any()]
    return runner.edited(edits) if edits else runner


def _directions(runner: Runner, ref: SteerRef) -> Directions:
    """What a control vector adds, by layer."""
    import numpy as np

    from gptcli.formats.gguf import control_vector

    vector, spec = control_vector.read(ref.path), runner.spec
    if vector.width != spec.width:
        reason = f"has directions of {vector.width} numbers, and the stream of this model has"
        raise ModelError(str(ref.path), f"{reason} {spec.width}", "it is another model's")
    chosen = {
        layer: numbers * np.float32(ref.scale)
        for layer, numbers in vector.directions.items()
        if (ref.first or 0) <= layer and (ref.last is None or layer <= ref.last)
    }
    if not chosen:
        behind = f"from {min(vector.directions)} to {max(vector.directions)}"
        raise UsageError("--steer", f"{ref.name} leaves nothing: its layers are {behind}")
    if max(chosen) >= spec.layers:
        reason = f"has a direction behind layer {max(chosen)}, and this model's last is"
        hint = f"@:{spec.layers - 1} behind its name leaves it out"
        raise ModelError(str(ref.path), f"{reason} {spec.layers - 1}", hint)
    return chosen
