"""The text of a model directory's tokenizer.json, made and kept where the directory has none.

What is made is kept in the data directory under a digest of what it was made of, so that it is
made, and spoken of, once: the model's own directory is not ours to write to.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

from gptcli import config
from gptcli.errors import ModelError
from gptcli.formats import files
from gptcli.formats import json as jsonfile
from gptcli.formats.tokenizer_json import reading
from gptcli.types.events import Notice

_FILE = "tokenizer.json"
#: Raised when what is made changes.
_FORMAT = b"1"


def find(directory: Path) -> tuple[Path, str | None, Notice | None]:
    """(the file to blame, tokenizer.json's text where it is not that file, what to tell).

    Raises ModelError where there is nothing that a tokenizer can be made of.
    """
    path = directory / _FILE
    if path.exists():
        files.refuse_special(path)
        if path.stat().st_size > jsonfile.TOKENIZER_LIMIT:
            raise ModelError(str(path), "is larger than any tokenizer should be")
        return path, None, None
    names = [entry.name for entry in directory.iterdir()] if directory.is_dir() else []
    sources = reading.sources(names)
    if not sources:
        raise ModelError(str(directory), f"has no {_FILE}")
    kept = config.data_dir() / "tokenizers" / f"{_digest(directory, sources)}.json"
    source = directory / sources[0]
    if kept.is_file():
        return source, kept.read_text(encoding="utf-8"), None
    text = json.dumps(reading.convert(directory, sources), ensure_ascii=False)
    told = f"has no {_FILE}: made one from {' and '.join(sources)}"
    if _keep(kept, text):
        told += ", kept for the next time"
    return source, text, Notice(str(directory), told)


def _digest(directory: Path, sources: tuple[str, ...]) -> str:
    found = hashlib.sha256(_FORMAT)
    for name in (*sources, *reading.COMPANIONS):
        path = directory / name
        found.update(f"\0{name}\0".encode())
        if path.is_file():
            with path.open("rb") as file:
                found.update(hashlib.file_digest(file, "sha256").digest())
    return found.hexdigest()[:32]


def _keep(path: Path, text: str) -> bool:
    """Whether it could be written; where not, it is made again each time."""
    new = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        new.write_text(text, encoding="utf-8")
        new.replace(path)
    except OSError:
        return False
    return True
