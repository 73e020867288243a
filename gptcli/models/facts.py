"""What a model is, for `gptcli models show`: from its settings and the headers of its weights."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gptcli.errors import ModelError
from gptcli.formats import model_files
from gptcli.formats.model_files import ModelFiles
from gptcli.models import disk, manifest
from gptcli.models import quantised_facts as quantised
from gptcli.types.models import ModelDir

_README_LIMIT = 1 << 20


@dataclass(frozen=True)
class ModelFacts:
    """A model's facts; None where its files do not say.

    parameters are counted from the stored tensors, as many as they stand for where they are
    quantised; context is in tokens, size in bytes; dtypes are those of the stored tensors, the
    most common one first, ggml's names for blocks; quantised says how, in words; licence is an
    SPDX-like id.
    """

    name: str
    family: str | None
    parameters: int
    layers: int | None
    heads: int | None
    kv_heads: int | None
    width: int | None
    context: int | None
    vocabulary: int | None
    dtypes: tuple[str, ...]
    quantised: str | None
    size: int
    licence: str | None
    source: str
    path: Path


def facts_of(model: ModelDir, files: ModelFiles) -> ModelFacts:
    """The facts of a model, whose files these are. Raises ModelError for what is no number."""
    config, counts = files.config, Counter[str]()
    for tensor in files.stored.tensors.values():
        counts[tensor.kind] += tensor.elements
    outside = [file for file in files.stored.files if file.parent != files.directory]
    said = quantised.summary(config)
    heads = _number(config, "num_attention_heads", "n_head")
    family = config.get("model_type")
    return ModelFacts(
        name=model.name,
        family=family if isinstance(family, str) else None,
        parameters=quantised.parameters(files.stored.tensors.values(), config),
        layers=_number(config, "num_hidden_layers", "n_layer"),
        heads=heads,
        kv_heads=_number(config, "num_key_value_heads") or heads,
        width=_number(config, "hidden_size", "n_embd"),
        context=_number(config, "max_position_embeddings", "n_positions", "n_ctx"),
        vocabulary=_number(config, "vocab_size"),
        dtypes=tuple(sorted(counts, key=lambda dtype: -counts[dtype])),
        quantised="in the blocks of the GGUF file" if files.stored.in_blocks else said,
        size=disk.size_of(model.path) + sum(file.stat().st_size for file in outside),
        licence=model.licence if model.managed else licence(model.path),
        source=model.source,
        path=model.path,
    )


def licence(path: Path) -> str | None:
    """The licence in the manifest, else in the front matter of README.md, else None."""
    found = manifest.read(path)
    if found is not None:
        return found.licence
    if not (path / "README.md").is_file():
        return None
    try:
        with (path / "README.md").open("rb") as file:
            text = file.read(_README_LIMIT).decode(errors="replace").replace("\r\n", "\n")
    except OSError:
        return None
    # YAML between two lines of dashes; a scalar on one line is all that is looked for.
    front = re.match(r"---\s*\n(.*?)\n---\s*(\n|$)", text, re.DOTALL)
    line = (
        re.search(r"^license:[ \t]*([^\s#].*?)[ \t]*$", front[1], re.MULTILINE) if front else None
    )
    return line[1].strip("'\"") if line else None


def _number(config: Mapping[str, Any], *names: str) -> int | None:
    for name in names:
        found = config.get(name)
        if found is None:
            continue
        if isinstance(found, bool) or not isinstance(found, int) or found < 0:
            raise ModelError(model_files.CONFIG, f"{name} is {found!r}, not a whole number")
        return found
    return None
