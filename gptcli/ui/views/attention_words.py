"""What attention's maps are called, and what a reader should know beside their colours."""

from __future__ import annotations

from collections.abc import Iterator

from gptcli.types.attention import Attention, AttentionMap
from gptcli.ui.views import states
from gptcli.units import counted


def name_of(found: Attention, each: AttentionMap) -> str:
    """`layer 3, head 5`; `mean over the heads of layer 3`."""
    over = found.request.over
    if over is None:
        return f"layer {each.layer}, head {each.head}"
    head = "all heads" if each.head is None else f"head {each.head}"
    every = "all layers"
    if len(found.attending) < found.layers:
        every = f"the {counted(len(found.attending), 'layer')} with attention"
    layer = every if each.layer is None else f"layer {each.layer}"
    kind = "maximum" if over == "max" else "mean"
    return f"{kind} over {head} of {layer}"


def notes(found: Attention) -> Iterator[str]:
    """What a reader should know beside the colours."""
    yield from states.notes(found)
    if not found.maps:
        return
    if found.request.weigh == "values":
        text = "weighed by values: each weight times the length of what its value becomes by the"
        yield f"{text} output projection, as a share of the row's lengths"
    head = found.request.head
    if found.group > 1 and head is not None:
        shared = found.shared(head)
        others = ", ".join(str(each) for each in shared if each != head)
        yield f"head {head} shares its keys and values with {others}"
    elif found.group > 1:
        kv_heads = found.heads // found.group
        yield f"{found.heads} heads share {kv_heads} heads of keys and values, {found.group} each"
    layer = found.request.layer
    attending = [found.windows[at] for at in found.attending]
    windows = {w for w in attending if w} if layer is None else {found.windows[layer]}
    if windows - {None}:
        some = " in some layers" if None in attending and layer is None else ""
        widths = " or ".join(map(str, sorted(w for w in windows if w)))
        yield f"a sliding window: a token sees the last {widths}{some}"
    if found.sinks and found.request.weigh == "attention":
        yield "each head has a sink, which takes a share and gives nothing: rows sum to less than 1"
