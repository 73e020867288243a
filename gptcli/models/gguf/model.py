"""What a GGUF file says of a model, as files that others have beside their weights."""

from __future__ import annotations

import gzip
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gptcli.errors import ModelError
from gptcli.formats.gguf import parts
from gptcli.formats.gguf.header import Header
from gptcli.formats.model_files import PACKED_TOKENIZER, TOKENIZER
from gptcli.models import manifest
from gptcli.models.gguf import families, metadata, plan
from gptcli.models.gguf.plan import ConversionPlan
from gptcli.models.gguf.tokenizer import Vocabulary

#: Bytes of a tokenizer from which on it is packed.
_LARGE = 4 << 20
#: Of gzip, 9 at the most: more takes ten times as long for a twentieth less.
_EFFORT = 4
_TORCH_NAMES = {"F32": "float32", "F16": "float16", "BF16": "bfloat16"}


@dataclass(frozen=True)
class GgufModel:
    """A file, or all parts of one, read and found to be a model that can be run."""

    header: Header
    plan: ConversionPlan
    vocabulary: Vocabulary

    @property
    def licence(self) -> str | None:
        """As the file names it."""
        found = self.header.fields.get("general.license")
        return found if isinstance(found, str) and found else None


def read(path: Path) -> GgufModel:
    """The model in a file, of which the other parts are found beside it.

    Raises ModelError for one that is broken or not supported.
    """
    head = parts.read(path)
    kind = head.fields.get("general.type", "model")
    if kind != "model":
        raise ModelError(str(head.path), f"holds a {kind}, not a model")
    wanted = families.plan(head)
    metadata.check(head)
    plan.check(head, wanted)
    vocabulary = Vocabulary(head)
    rows = wanted.config["vocab_size"]
    if rows != len(vocabulary.tokens):
        reason = f"has {len(vocabulary.tokens)} tokens, but {rows} rows of embeddings"
        raise ModelError(str(path), reason)
    return GgufModel(head, wanted, vocabulary)


def write(
    model: GgufModel,
    target: Path,
    dtype: str,
    more: dict[str, Any] | None = None,
    *,
    small: bool = False,
) -> dict[str, manifest.StoredFile]:
    """config.json, with `more` in it, generation_config.json and the tokenizer's files.

    dtype: that of the weights, in the words of safetensors; small: a large tokenizer is packed, for
    gptcli alone. Returns the files by name.
    """
    vocabulary = model.vocabulary
    generation = {**_ids(vocabulary), **vocabulary.suppressed(), **metadata.sampling(model.header)}
    config = _config(model, dtype) | (more or {})
    names = ("max_position_embeddings", "n_positions", "seq_length")
    context = next(int(config[name]) for name in names if name in config)
    contents = {
        "config.json": _json(config),
        "generation_config.json": _json(generation),
        TOKENIZER: _json(vocabulary.tokenizer(), compact=True),
        "tokenizer_config.json": _json(vocabulary.config(context)),
    }
    if small and len(contents[TOKENIZER]) > _LARGE:
        # Without a time in it: the same file gives the same bytes.
        contents[PACKED_TOKENIZER] = gzip.compress(contents.pop(TOKENIZER), _EFFORT, mtime=0)
    for name, text in contents.items():
        (target / name).write_bytes(text)
    return {name: stored_file(text) for name, text in contents.items()}


def _config(model: GgufModel, dtype: str) -> dict[str, Any]:
    word = _TORCH_NAMES[dtype]
    # Both names: `torch_dtype` until transformers 5, `dtype` from then on.
    found = {**model.plan.config, "dtype": word, "torch_dtype": word, "use_cache": True}
    # Null where there is none: transformers has defaults for some families.
    found |= dict.fromkeys(("bos_token_id", "eos_token_id", "pad_token_id"))
    return found | _ids(model.vocabulary)


def _ids(vocabulary: Vocabulary) -> dict[str, Any]:
    ends = vocabulary.ends()
    found = {
        "bos_token_id": vocabulary.id("bos"),
        "eos_token_id": ends[0] if len(ends) == 1 else ends or None,
        "pad_token_id": vocabulary.id("padding"),
    }
    return {key: value for key, value in found.items() if value is not None}


def _json(content: dict[str, Any], *, compact: bool = False) -> bytes:
    options: dict[str, Any] = {"separators": (",", ":")} if compact else {"indent": 2}
    return (json.dumps(content, ensure_ascii=False, **options) + "\n").encode()


def stored_file(content: bytes) -> manifest.StoredFile:
    """What a manifest says of a file of this content."""
    return manifest.StoredFile(hashlib.sha256(content).hexdigest(), len(content))
