"""The one door to the tokenizers library, which is written in Rust.

What it refuses it raises as a plain Exception; what it did not expect (a table that ends early, a
regular expression that goes on for too long) is a panic, which prints itself and is no Exception
in Python. Both are an UnfitError here.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from gptcli.formats.tokenizer_json.parts import Part, UnfitError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

#: Characters of what the library says that are passed on.
_SAID = 200


def build(text: bytes) -> Tokenizer:
    """The tokenizer that the bytes of a tokenizer.json describe. Raises UnfitError."""
    from tokenizers import Tokenizer

    with guarded():
        built = Tokenizer.from_buffer(text)
    # Padding and truncation are for training batches; here they would lose or invent tokens.
    built.no_padding()
    built.no_truncation()
    return built


def state(step: Any) -> Part | None:
    """A step of a tokenizer as tokenizer.json has it, None for none."""
    found: Part | None = json.loads(step.__getstate__()) if step else None
    return found


def check(found: Part) -> None:
    """Raises UnfitError where it cannot be built, or where an added token gets another id."""
    built = build(json.dumps(found).encode())
    for token in found["added_tokens"]:
        if built.token_to_id(token["content"]) != token["id"]:
            raise UnfitError("token ids have gaps")


def version() -> str:
    """The library's own, which decides what it makes of a file."""
    import tokenizers

    return str(tokenizers.__version__)


@contextmanager
def guarded() -> Iterator[None]:
    """Whatever the library raises is an UnfitError, and nothing is printed."""
    try:
        with _quiet():
            yield
    except (KeyboardInterrupt, SystemExit, MemoryError, UnfitError):
        raise
    except Exception as error:
        said = " ".join(str(error).split())[:_SAID]
        raise UnfitError(said or type(error).__name__) from None
    except BaseException:  # a panic
        raise UnfitError("the tokenizers library fails at it") from None


class _Hush:
    """Standard error as long as it is closed: how many have asked for that, and where it went."""

    lock = threading.Lock()
    askers = 0
    kept: int | None = None


@contextmanager
def _quiet() -> Iterator[None]:
    """A panic prints itself to the descriptor before it is raised.

    Threads may overlap: the first closes standard error, the last one opens it again.
    """
    with _Hush.lock:
        _Hush.askers += 1
        if _Hush.askers == 1:
            # It may be closed already.
            with suppress(OSError):
                _Hush.kept = os.dup(2)
                null = os.open(os.devnull, os.O_WRONLY)
                os.dup2(null, 2)
                os.close(null)
    try:
        yield
    finally:
        with _Hush.lock:
            _Hush.askers -= 1
            if _Hush.askers == 0 and _Hush.kept is not None:
                os.dup2(_Hush.kept, 2)
                os.close(_Hush.kept)
                _Hush.kept = None
