"""What a GGUF file says outside of its architecture and its tokenizer.

Some of it is about the file, and left out by name; the sampling that its publisher recommends goes
into generation_config.json; all else is refused by name. Keys: `Keys` in llama.cpp's gguf-py.
"""

from __future__ import annotations

import math
from typing import Any

from gptcli.errors import ModelError
from gptcli.formats.gguf.header import Header
from gptcli.models.gguf.fields import decimal, shown

_GENERAL, _SAMPLING = "general.", "general.sampling."
#: Of `general`: who made the file, of what, and how it is laid out.
_ABOUT = {"alignment", "architecture", "file_type", "quantization_version", "type"}
_ABOUT |= {
    "author",
    "basename",
    "description",
    "doi",
    "finetune",
    "license",
    "name",
    "organization",
}
_ABOUT |= {"quantized_by", "repo_url", "url", "uuid", "version"}
_ABOUT |= {"datasets", "languages", "parameter_count", "size_label", "tags"}
#: Beginnings of keys that hold notes: of those who quantised the file, and of its parts.
_NOTES: tuple[str, ...] = (
    "general.base_model.",
    "general.dataset.",
    "general.license.",
    "general.source.",
)
_NOTES += ("mradermacher.", "quantize.", "split.")
#: Of numbers, the names that generation_config.json has for the file's. Those that transformers
#: does not have are the ones that llama.cpp's converter looks for there.
_NAMES = {
    "temp": "temperature",
    "top_k": "top_k",
    "top_p": "top_p",
    "min_p": "min_p",
    "penalty_repeat": "repetition_penalty",
    "penalty_last_n": "penalty_last_n",
    "xtc_probability": "xtc_probability",
    "xtc_threshold": "xtc_threshold",
    "mirostat": "mirostat",
    "mirostat_tau": "mirostat_tau",
    "mirostat_eta": "mirostat_eta",
}
_SEQUENCE = "sequence"


def check(header: Header) -> None:
    """Raises ModelError for a key that could mean anything, unless it is empty or false.

    A text of another program's, a version or an address, is a note.
    """
    arch = f"{header.fields.get('general.architecture')}."
    for key, value in header.fields.items():
        if key.startswith((arch, "tokenizer.", _SAMPLING, *_NOTES)):
            continue
        general = key.startswith(_GENERAL)
        about = key.removeprefix(_GENERAL) in _ABOUT if general else isinstance(value, str)
        if not about and value is not False and value not in ("", []):
            raise ModelError(str(header.path), f"{key} = {shown(value)} is not supported")


def sampling(header: Header) -> dict[str, Any]:
    """`general.sampling` in the names of generation_config.json, without what is off.

    Raises ModelError for what is not known, or not a number.
    """
    found: dict[str, Any] = {}
    for key, value in header.fields.items():
        name = key.removeprefix(_SAMPLING)
        if name == key:
            continue
        if name == _SEQUENCE and isinstance(value, str):
            found |= {name: value} if value else {}
        elif name in _NAMES and _is_number(value):
            found[_NAMES[name]] = decimal(value) if isinstance(value, float) else value
        else:
            raise ModelError(str(header.path), f"{key} = {shown(value)} is not supported")
    return _in_force(found)


def _in_force(found: dict[str, Any]) -> dict[str, Any]:
    """Without the settings of samplers that are off, as llama.cpp has it."""
    if found.get("temperature", 1) <= 0:
        # No more is asked for than the most probable token.
        found |= {"temperature": 0, "do_sample": False}
    if found.get("top_k", 0) < 0:
        found["top_k"] = 0
    if found.get("penalty_last_n") == 0:
        found.pop("repetition_penalty", None)
    # -1 is all that came before, which is what the penalty is over in any case.
    if found.get("repetition_penalty", 1) == 1 or found.get("penalty_last_n", 0) < 0:
        found.pop("penalty_last_n", None)
    if found.get("xtc_probability", 0) <= 0:
        found = {key: value for key, value in found.items() if not key.startswith("xtc_")}
    if not found.get("mirostat"):
        found = {key: value for key, value in found.items() if not key.startswith("mirostat")}
    return found


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
