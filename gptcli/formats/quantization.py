"""Where a model directory says how its weights are quantised; what it says is read elsewhere.

That is an object in config.json, under one of several names, or hf_quant_config.json beside it, as
NVIDIA's Model Optimizer writes it. MLX's object has no "quant_method".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from gptcli.formats import json as jsonfile
from gptcli.formats.stored import StoredFiles

_MLX_FIELD = "quantization"
#: The fields of config.json; MLX's goes before a copy of it.
FIELDS = (_MLX_FIELD, "quantization_config", "compression_config")
MODELOPT_FILE = "hf_quant_config.json"
#: Suffixes of the tensors that hold numbers in MXFP4, as gpt-oss has them.
MXFP4 = ("_blocks", "_scales")


def field(get: Callable[[str], Any]) -> str | None:
    """The field of config.json that says it, None where none does; `get` gives its fields."""
    for name in FIELDS:
        found = get(name)
        if name == _MLX_FIELD and not (isinstance(found, dict) and is_mlx(found.get)):
            continue
        if found is not None:
            return name
    return None


def is_mlx(get: Callable[[str], Any]) -> bool:
    """Whether such an object is MLX's; `get` gives its fields."""
    return get("quant_method") is None and get("group_size") is not None


def in_codes(get: Callable[[str], Any], stored: StoredFiles) -> bool:
    """Whether some weights are stored in fewer bits than floats have, in whichever form.

    `get` gives the fields of config.json.
    """
    if stored.in_blocks or field(get) is not None:
        return True
    # Told by their tensors where config.json says nothing: 8-bit floats, and MXFP4.
    return any(
        tensor.kind == "F8_E4M3" or (tensor.kind == "U8" and name.endswith(MXFP4[0]))
        for name, tensor in stored.tensors.items()
    )


def with_modelopt(directory: Path, config: Mapping[str, Any]) -> Mapping[str, Any]:
    """config.json, with what hf_quant_config.json says where it says nothing itself.

    Raises ModelError for a file that cannot be read.
    """
    path = directory / MODELOPT_FILE
    if field(config.get) is not None or not path.is_file():
        return config
    read = jsonfile.read(path)
    said = read.get("quantization")
    said = said if isinstance(said, dict) else {}
    return {**config, "quantization_config": {**said, "quant_method": "modelopt"}}
