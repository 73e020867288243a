"""The text of a model directory's tokenizer.json, made and kept where the directory has none.

What is made is kept in the data directory under a digest of all that it was made of, so that it is
made, and spoken of, once: the model's own directory is not ours to write to. The file begins with
a line of its own digest and what a trial said; what does not fit that is made anew.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from gptcli import atomic, config
from gptcli.errors import ModelError
from gptcli.formats import files
from gptcli.formats import json as jsonfile
from gptcli.formats.model_files import PACKED_TOKENIZER, TOKENIZER
from gptcli.formats.tokenizer_json import library, reading
from gptcli.formats.tokenizer_json import settings as settings_files
from gptcli.formats.tokenizer_json.parts import UnfitError
from gptcli.formats.tokenizer_json.settings import TokenizerSettings
from gptcli.plain import dataclass
from gptcli.text import tokenizer_trial
from gptcli.types.events import Notice

_TOO_LARGE = "is larger than any tokenizer should be"
#: Raised when what is made changes.
_FORMAT = b"3"
#: Bytes below which a file has too few tokens to be kept in another form: it is opened each time.
_HELD = 1 << 18
#: So long one process waits for another that makes the same, before it makes it for itself.
_WAIT_SECONDS = 60


@dataclass(frozen=True)
class TokenizerText:
    """A tokenizer.json as bytes.

    growth: letters that one letter may become. notice: what to tell of its making.
    """

    text: bytes
    growth: int
    notice: Notice | None = None


@dataclass(frozen=True)
class TokenizerSource:
    """What a model directory's tokenizer is, before any of it is understood.

    path: the file to blame for it. digest: of all that it is made of. read: its tokenizer.json;
    raises ModelError, or UnfitError, where it cannot be one.
    """

    directory: Path
    path: Path
    settings: TokenizerSettings
    digest: str
    read: Callable[[], TokenizerText]


def find(directory: Path) -> TokenizerSource:
    """Raises ModelError where there is nothing that a tokenizer can be made of."""
    path = directory / TOKENIZER
    packed = not path.exists() and (directory / PACKED_TOKENIZER).exists()
    if packed:
        path = directory / PACKED_TOKENIZER
    elif not path.exists():
        return _made(directory)
    whole = _read_small(path)
    content = (
        files.digest(path, jsonfile.TOKENIZER_LIMIT, _TOO_LARGE)
        if whole is None
        else hashlib.sha256(whole).hexdigest()
    )
    held = settings_files.read(directory)

    def read() -> TokenizerText:
        text = whole
        if text is None:
            text = files.read(path, jsonfile.TOKENIZER_LIMIT, _TOO_LARGE)
            if hashlib.sha256(text).hexdigest() != content:
                raise ModelError(str(path), "was changed while it was being used")
        if packed:
            text = files.unpacked(text, path, jsonfile.TOKENIZER_LIMIT, _TOO_LARGE)
        return TokenizerText(text, tokenizer_trial.growth(text, str(path)))

    return TokenizerSource(
        directory, path, _settings(directory, held), _digest(held, content), read
    )


def _read_small(path: Path) -> bytes | None:
    """A file that is small enough to be held from the first look at it on, else None."""
    files.refuse_special(path)
    with contextlib.suppress(OSError):  # said where it is read
        if path.stat().st_size <= _HELD:
            return files.read(path, jsonfile.TOKENIZER_LIMIT, _TOO_LARGE)
    return None


def _made(directory: Path) -> TokenizerSource:
    names = [entry.name for entry in directory.iterdir()] if directory.is_dir() else []
    sources = reading.sources(names)
    if not sources:
        raise ModelError(str(directory), f"has no {TOKENIZER}")
    held = reading.read(directory, sources)
    said = _settings(directory, held)
    with _blamed(directory / sources[0], "cannot be made into a tokenizer"):
        kind = reading.kind_of(directory, held, said)
    said, digest = reading.raw(said), _digest(held, kind)

    def read() -> TokenizerText:
        return _converted(directory, sources, held, said, kind)

    return TokenizerSource(directory, directory / sources[0], said, digest, read)


def _converted(
    directory: Path,
    sources: tuple[str, ...],
    held: Mapping[str, bytes],
    said: TokenizerSettings,
    kind: str | None,
) -> TokenizerText:
    """tokenizer.json as it was kept, or made now."""
    source, notice = directory / sources[0], None
    kept = config.data_dir() / "tokenizers" / f"{_digest(held, kind)}.json"
    with _blamed(source, "cannot be made into a tokenizer"):
        found = _read(kept)
        if found is None:
            with atomic.alone(kept, _WAIT_SECONDS):
                found = _read(kept)
                if found is None:
                    made = reading.convert(directory, held, said, kind)
                    text = json.dumps(made, ensure_ascii=False).encode()
                    found = tokenizer_trial.trial(text, str(source)), text
                    told = f"has no {TOKENIZER}: made one from {' and '.join(sources)}"
                    # Where it cannot be, it is made again each time.
                    if atomic.keep(kept, _head(*found) + b"\n" + text):
                        told += ", kept for the next time"
                    notice = Notice(str(directory), told)
    return TokenizerText(found[1], found[0], notice)


def _settings(directory: Path, held: Mapping[str, bytes]) -> TokenizerSettings:
    with _blamed(directory / settings_files.CONFIG, "cannot be used"):
        return settings_files.settings(directory, held)


@contextlib.contextmanager
def _blamed(path: Path, reason: str) -> Iterator[None]:
    try:
        yield
    except UnfitError as error:
        raise ModelError(str(path), f"{reason}: {error}") from None


def _digest(held: Mapping[str, bytes], kind: str | None) -> str:
    found = hashlib.sha256(_FORMAT + f"\0{library.version()}\0{kind}".encode())
    for name, data in held.items():
        found.update(f"\0{name}\0".encode() + hashlib.sha256(data).digest())
    return found.hexdigest()[:32]


def _read(path: Path) -> tuple[int, bytes] | None:
    """(growth, text); None, too, where what is kept is not what was written."""
    try:
        data = path.read_bytes() if path.is_file() else b""
    except OSError:
        return None
    head, _, text = data.partition(b"\n")
    growth = head.rpartition(b" ")[2]
    # No digest fits a number of thousands of digits, which Python would not read.
    if not (growth.isdigit() and len(growth) < 10 and head == _head(int(growth), text)):
        return None
    return int(growth), text


def _head(growth: int, text: bytes) -> bytes:
    return f"{hashlib.sha256(b'%d ' % growth + text).hexdigest()} {growth}".encode()
