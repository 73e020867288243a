"""Views as pages for a browser: one file each, which asks the network for nothing.

`page` makes a page of parts, with the style and the script that lie beside it; each other file
makes the parts of one view.
"""

from gptcli.ui.pages.ablate import ablation
from gptcli.ui.pages.attention import attention
from gptcli.ui.pages.completion import completion
from gptcli.ui.pages.explain import explanation, shapes
from gptcli.ui.pages.lens import lens
from gptcli.ui.pages.loom import loom
from gptcli.ui.pages.neighbors import neighbors
from gptcli.ui.pages.parts import parts
from gptcli.ui.pages.patch import patching
from gptcli.ui.pages.why import why

__all__ = [
    "ablation",
    "attention",
    "completion",
    "explanation",
    "lens",
    "loom",
    "neighbors",
    "parts",
    "patching",
    "shapes",
    "why",
]
