"""One file per architecture of GGUF: how its metadata becomes a plan of a published family.

The files are named as `general.architecture`, with `_` for `-`, but for those in SPELT. Keys:
https://github.com/ggml-org/ggml/blob/master/docs/gguf.md; names of tensors: `MODEL_TENSORS` in
llama.cpp's gguf-py; what becomes of them: its convert_hf_to_gguf.py.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Callable

from gptcli.errors import ModelError
from gptcli.formats.gguf.header import Header
from gptcli.models.gguf.fields import Fields
from gptcli.models.gguf.plan import ConversionPlan

#: Files of architectures that have a `_` themselves.
SPELT = {name: name for name in ("ernie4_5", "nemotron_h", "nemotron_h_moe", "seed_oss")}
SPELT |= {"ernie4_5_moe": "ernie4_5-moe"}


@functools.cache
def _names() -> tuple[str, ...]:
    return tuple(module.name for module in pkgutil.iter_modules(__path__))


def supported() -> list[str]:
    """Every `general.architecture` that can be converted."""
    return sorted(SPELT.get(name, name.replace("_", "-")) for name in _names())


def plan(header: Header) -> ConversionPlan:
    """The plan of a file. Raises ModelError for what is not supported, by name."""
    path, arch = str(header.path), header.fields.get("general.architecture")
    if not isinstance(arch, str) or arch not in supported():
        known = ", ".join(supported())
        raise ModelError(path, f"architecture {arch!r} is not supported (supported: {known})")
    build: Callable[[Fields], ConversionPlan] = importlib.import_module(
        f"{__name__}.{arch.replace('-', '_')}"
    ).plan
    return build(Fields(header, arch))
