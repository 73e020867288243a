"""A model and adapters → a model directory of plain weights."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gptcli import atomic
from gptcli.engine.describe import described
from gptcli.errors import ModelError, UsageError
from gptcli.formats import files, model_files, quantization
from gptcli.formats import json as jsonfile
from gptcli.formats.safetensors import shards
from gptcli.formats.safetensors import writing as weights_file
from gptcli.formats.safetensors.writing import Planned
from gptcli.models import disk
from gptcli.models import quantised_facts as quantised
from gptcli.models.gguf.plan import OWN
from gptcli.types.events import Progress
from gptcli.types.models import AdapterRef, ModelDir

if TYPE_CHECKING:
    import torch

    from gptcli.engine.torch.plan import TorchPlan

#: Bytes of a weights file, beyond which another is begun.
SHARD_BYTES = 4 << 30
#: What goes along as it is: all that a tokenizer may be, and the licence.
_COPIED = (
    "*token*.json",
    "*token*.model",
    "*.tiktoken",
    "LICENSE*",
    "NOTICE*",
    "chat_template.*",
    "generation_config.json",
    "merges.txt",
    "spiece.model",
    "vocab.*",
)


def merge(
    model: ModelDir,
    adapters: Sequence[AdapterRef],
    to: Path,
    *,
    dtype: str = "auto",
    shard_bytes: int = SHARD_BYTES,
) -> Generator[Progress, None, None]:
    """Write the model with the adapters added to it, beside `to` and then under that name.

    Weights have the dtype that the model stores them in, or the one named; those that it stores
    quantised have that of its other weights. Raises UsageError where `to` is there already, and
    where nothing is to be added to weights that are plain, the errors of `describe` and of
    `plan`, and ResourceError where it cannot be written.
    """
    from gptcli.engine.torch.plan import APART, plan

    files = model_files.read(model.path)
    if not (adapters or quantised.config_of(files.config) or files.stored.in_blocks):
        raise UsageError("--adapter", "is needed, once for each adapter")
    if OWN & files.config.keys():
        raise ModelError(str(model.path), *APART)
    if to.exists() or to.is_symlink():
        raise UsageError("--output", f"{to} is there already")
    planned = plan(described(files), adapters)
    new = _shards(list(_tensors(planned, dtype)), shard_bytes)
    place = to.absolute()
    disk.need_space(place.parent, sum(tensor.size for each in new.values() for tensor in each))
    with disk.writing(place.parent), atomic.replacing_directory(place) as staging:
        for name, tensors in new.items():
            yield from weights_file.write(staging / name, tensors, f"writing {name}")
        _write_index(staging, new)
        _copy(model.path, staging)
        config = _config(files.config, planned, dtype)
        (staging / model_files.CONFIG).write_text(json.dumps(config, indent=2) + "\n")


def _tensors(planned: TorchPlan, dtype: str) -> Iterator[Planned]:
    """Every tensor that the model uses, by the name that it is stored under."""
    import torch

    from gptcli.engine.weights.checkpoint import FLOATS

    kinds = {kind: name for name, kind in FLOATS.items()} | {torch.uint8: "U8"}
    for placement in planned.placements:
        for stored in placement.stored:
            plain = planned.stored.tensors.get(stored.name)
            kept = plain.dtype if plain and plain.dtype in kinds else None
            # Bytes that floats of four bits were packed in are those of other numbers.
            packed = kept == torch.uint8 and stored.kind != "U8"
            if kept is None or packed or planned.stored.stored.in_blocks:
                kept = planned.source.dtype
            kind = kept if dtype == "auto" or kept == torch.uint8 else getattr(torch, dtype)
            chunks = _reader(planned, stored.name, kind)
            yield Planned(stored.name, kinds[kind], stored.shape, chunks)


def _reader(planned: TorchPlan, name: str, kind: torch.dtype) -> Callable[[], Iterator[Any]]:
    import torch

    def read() -> Iterator[Any]:
        tensor = planned.source.read(name).to(kind).contiguous()
        # numpy has no bfloat16.
        yield (tensor.view(torch.int16) if kind == torch.bfloat16 else tensor).numpy()

    return read


def _shards(tensors: list[Planned], most: int) -> dict[str, list[Planned]]:
    """File names → tensors, in order; a file is full before it grows beyond `most` bytes."""
    groups: list[list[Planned]] = [[]]
    size = 0
    for tensor in tensors:
        if groups[-1] and size + tensor.size > most:
            groups.append([])
            size = 0
        groups[-1].append(tensor)
        size += tensor.size
    if len(groups) == 1:
        return {shards.WEIGHTS: groups[0]}
    count = len(groups)
    return {f"model-{i:05}-of-{count:05}.safetensors": g for i, g in enumerate(groups, 1)}


def _write_index(directory: Path, files: Mapping[str, list[Planned]]) -> None:
    if len(files) == 1:
        return
    total = sum(tensor.size for tensors in files.values() for tensor in tensors)
    places = {tensor.name: name for name, tensors in files.items() for tensor in tensors}
    index = {"metadata": {"total_size": total}, "weight_map": places}
    (directory / shards.INDEX).write_text(json.dumps(index, indent=2) + "\n")


def _copy(source: Path, to: Path) -> None:
    for pattern in _COPIED:
        for path in source.glob(pattern):
            if path.is_file():
                shutil.copyfile(path, to / path.name)
    packed = source / model_files.PACKED_TOKENIZER
    if packed.is_file():
        limit = jsonfile.TOKENIZER_LIMIT
        text = files.unpacked(files.read(packed, limit), packed, limit)
        (to / model_files.TOKENIZER).write_bytes(text)


def _config(stored: Mapping[str, Any], planned: TorchPlan, dtype: str) -> dict[str, Any]:
    """config.json as it is for what was written."""
    config: dict[str, Any] = copy.deepcopy(dict(stored))
    if planned.dequantised:
        for name in quantization.FIELDS:
            config.pop(name, None)
    if planned.untied:
        config["tie_word_embeddings"] = False
        # Models of text and images have the settings of the text by themselves.
        if isinstance(config.get("text_config"), dict):
            config["text_config"]["tie_word_embeddings"] = False
    if dtype != "auto":
        for name in {"dtype", "torch_dtype"} & config.keys():
            config[name] = dtype
    return config
