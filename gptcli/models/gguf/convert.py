"""A GGUF file → config.json, model.safetensors, tokenizer.json and their companions."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Generator
from pathlib import Path
from typing import Any

from gptcli.errors import ModelError
from gptcli.formats import ggml_blocks
from gptcli.formats.gguf import header, parts
from gptcli.formats.safetensors import writing as weights_file
from gptcli.models import disk, manifest
from gptcli.models.gguf import families, metadata, plan
from gptcli.models.gguf.tokenizer import Vocabulary
from gptcli.types.events import Progress

_TORCH_NAMES = {"F32": "float32", "F16": "float16", "BF16": "bfloat16"}


def convert(
    path: Path, target: Path, name: str, source: str, licence: str | None = None
) -> Generator[Progress, None, manifest.Manifest]:
    """Writes the model in the GGUF file `path` into the directory `target`, manifest last, which it
    returns.

    Where the file is one part of several, the others are found beside it.

    licence: used where the file itself names none. Raises ModelError for a file that is broken or
    not supported, OSError where `target` cannot be written.
    """
    head = parts.read(path)
    wanted = _plan(head)
    metadata.check(head)
    plan.check(head, wanted)
    vocabulary = Vocabulary(head)
    generation = {**_ids(vocabulary), **vocabulary.suppressed(), **metadata.sampling(head)}
    config = _config(head, wanted, vocabulary)
    if config["vocab_size"] != len(vocabulary.tokens):
        raise ModelError(
            str(path),
            f"has {len(vocabulary.tokens)} tokens, but {config['vocab_size']} rows of embeddings",
        )
    tensors = plan.planned(head, wanted)
    disk.need_space(target, sum(tensor.size for tensor in tensors))
    context = _context(config)
    files = {
        "config.json": _json(target / "config.json", config),
        "generation_config.json": _json(target / "generation_config.json", generation),
        "tokenizer.json": _json(target / "tokenizer.json", vocabulary.tokenizer(), compact=True),
        "tokenizer_config.json": _json(
            target / "tokenizer_config.json", vocabulary.config(context)
        ),
    }
    weights = "model.safetensors"
    digest = yield from weights_file.write(target / weights, tensors, f"converting {name}")
    files[weights] = manifest.StoredFile(*digest)
    found = head.fields.get("general.license")
    licence = found if isinstance(found, str) and found else licence
    made = manifest.Manifest(name, source, licence, files)
    manifest.write(target, made)
    return made


def _plan(head: header.Header) -> plan.ConversionPlan:
    path, fields = str(head.path), head.fields
    kind = fields.get("general.type", "model")
    if kind != "model":
        raise ModelError(path, f"holds a {kind}, not a model")
    return families.plan(head)


def _context(config: dict[str, Any]) -> int:
    names = ("max_position_embeddings", "n_positions", "seq_length")
    return next(int(config[name]) for name in names if name in config)


def _config(
    head: header.Header, wanted: plan.ConversionPlan, vocabulary: Vocabulary
) -> dict[str, Any]:
    dtype = _TORCH_NAMES[plan.stored_dtype(head, wanted)]
    # Both names: `torch_dtype` until transformers 5, `dtype` from then on.
    found = {**wanted.config, "dtype": dtype, "torch_dtype": dtype, "use_cache": True}
    # Null where there is none: transformers has defaults for some families.
    found |= dict.fromkeys(("bos_token_id", "eos_token_id", "pad_token_id"))
    if any(plan.kept_blocks(head, wanted, take) for take in wanted.takes):
        found["quantization_config"] = {"quant_method": ggml_blocks.METHOD}
    return found | _ids(vocabulary)


def _ids(vocabulary: Vocabulary) -> dict[str, Any]:
    ends = vocabulary.ends()
    found = {
        "bos_token_id": vocabulary.id("bos"),
        "eos_token_id": ends[0] if len(ends) == 1 else ends or None,
        "pad_token_id": vocabulary.id("padding"),
    }
    return {key: value for key, value in found.items() if value is not None}


def _json(path: Path, content: dict[str, Any], compact: bool = False) -> manifest.StoredFile:
    indent = None if compact else 2
    text = (json.dumps(content, indent=indent, ensure_ascii=False) + "\n").encode()
    path.write_bytes(text)
    return manifest.StoredFile(hashlib.sha256(text).hexdigest(), len(text))
