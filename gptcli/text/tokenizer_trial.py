"""A tokenizer.json that was never met is tried in a process that may fail; the verdict is kept.

It is a program of a stranger's, run by a library that ends its process where memory does not
suffice. What is known costs the reading of a small file, named by a digest of all that the
verdict depends on: the text, the library, and this.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from gptcli import atomic, config
from gptcli.formats.tokenizer_json import library
from gptcli.formats.tokenizer_json.parts import UnfitError

#: Raised when a verdict may become another.
_FORMAT = b"1"
_WORKER = "gptcli.text.tokenizer_worker"
#: What a tokenizer may take to be read, beyond what its size explains.
_SECONDS, _MEMORY = 1.5, 384 << 20
#: Bytes of tokenizer.json for a second more, and bytes of memory for each.
_RATE, _SHARE = 4 << 20, 32
#: Verdicts of this process, by digest: a server opens a model more than once.
_known: dict[str, int] = {}


def growth(text: bytes, subject: str) -> int:
    """The letters that a letter may become, from what is known, or by a trial. Raises as that."""
    digest = hashlib.sha256(_FORMAT + library.version().encode() + b"\0")
    digest.update(text)
    name = digest.hexdigest()
    if name not in _known:
        path = config.data_dir() / "tried" / name[:32]
        found = _read(path)
        if found is None:
            found = trial(text, subject)
            atomic.keep(path, f"{found}\n".encode())
        _known[name] = found
    return _known[name]


def trial(text: bytes, subject: str) -> int:
    """The same by a trial. Raises UnfitError; ModelError of `subject` where it takes too much."""
    # Only what was never met needs a process.
    from gptcli.text.limited_process import LimitedProcess, Limits

    try:
        written = text.decode()
    except UnicodeDecodeError:
        raise UnfitError("it is not UTF-8") from None
    limits = Limits(_SECONDS + len(text) / _RATE, _MEMORY + _SHARE * len(text))
    process = LimitedProcess(_WORKER, subject, limits)
    try:
        answer = process.ask({"text": written})
    finally:
        process.close()
    if "unfit" in answer:
        raise UnfitError(str(answer["unfit"]))
    return int(answer["growth"])


def _read(path: Path) -> int | None:
    """None, too, where what is kept is no verdict: it is tried again."""
    try:
        said = path.read_bytes()[:32]
    except OSError:
        return None
    return int(said) if said.endswith(b"\n") and said[:-1].isdigit() else None
