"""What is wrong with a tokenizer.json that the library does not take, in words for its owner.

The library says "data did not match any variant of untagged enum NormalizerUntagged at line 1
column 234"; which part that is, is found by giving it one part at a time.
"""

from __future__ import annotations

import json
from typing import Any

from gptcli.errors import ModelError
from gptcli.formats import json as jsonfile
from gptcli.formats.tokenizer_json import library
from gptcli.formats.tokenizer_json.parts import UnfitError

_LEAST = {"version": "1.0", "model": {"type": "BPE", "vocab": {}, "merges": []}}
_PARTS = ("added_tokens", "normalizer", "pre_tokenizer", "post_processor", "decoder", "model")
#: How the library says that it knows nothing of the kind.
_UNKNOWN = ("did not match any variant", "panic", "fails at it")


def reason(text: bytes, said: str) -> str:
    """Why the library does not take a tokenizer.json; `said` is its own word for it."""
    try:
        found = jsonfile.parse(text, "it")
    except ModelError as error:
        # Repeated keys, too, which the library may take: but what it does with them nobody knows.
        return f"it {error.reason}"
    if "model" not in found:
        return "it has no model"
    for name in _PARTS:
        if name not in found:
            continue
        try:
            library.build(json.dumps({**_LEAST, name: found[name]}).encode())
        except UnfitError as error:
            return f"its {name.replace('_', ' ')}{_kind(found[name])} {_plain(str(error))}"
    return _plain(said)


def _plain(said: str) -> str:
    if any(part in said for part in _UNKNOWN):
        return f"is none that the tokenizers library knows (version {library.version()})"
    # The place is that in a text of our own, and the rest is said already.
    said = said.removeprefix("Cannot instantiate Tokenizer from buffer: ").partition(" at line ")[0]
    return f"is broken: {said}"


def _kind(part: Any) -> str:
    kind = part.get("type") if isinstance(part, dict) else None
    return f" ({kind[:40]})" if isinstance(kind, str) else ""
