"""What every look inside the model begins with: ids, a window of them, what a user should know."""

from __future__ import annotations

from gptcli.backends.local.open_model import OpenModel
from gptcli.backends.local.prompt_notices import plain_control_token
from gptcli.errors import InputError, UsageError
from gptcli.plain import dataclass
from gptcli.types.events import Notice
from gptcli.types.token import Token
from gptcli.types.window import Window


@dataclass(frozen=True)
class Looked:
    """A prompt in tokens, and which of its positions are looked at."""

    ids: list[int]
    positions: range
    tokens: tuple[Token, ...]
    notices: tuple[Notice, ...]


def looked_at(
    model: OpenModel, prompt: str, window: Window, *, special: bool, subject: str = "prompt"
) -> Looked:
    """Raises UsageError for a window without a position, and the errors of `encode`."""
    ids = model.encode(prompt, special=special, subject=subject)
    positions = window.of(len(ids))
    if not positions:
        reason = f"holds none of the {len(ids)} positions, which count from 0"
        raise UsageError("--window", reason)
    notices = [] if special else list(plain_control_token(model.tokenizer, prompt))
    if len(positions) < len(ids) and not window.asked:
        text = (
            f"has {len(ids)} tokens; positions {positions.start} to {positions.stop - 1} are"
            " looked at, and --window START:STOP chooses others"
        )
        notices.append(Notice(subject, text))
    tokens = tuple(model.token(ids[at]) for at in positions)
    return Looked(ids, positions, tokens, tuple(notices))


def check_layer(model: OpenModel, layer: int | None, flag: str = "--layer", least: int = 0) -> None:
    """Raise UsageError for a layer that the model has not."""
    last = model.runner.spec.layers - 1
    if layer is not None and not least <= layer <= last:
        raise UsageError(flag, f"must be from {least} to {last}, not {layer}")


def check_rows(model: OpenModel, rows: int) -> None:
    """Raise UsageError for more rows than there are tokens."""
    vocabulary = model.runner.spec.vocab
    if rows > vocabulary:
        raise UsageError("--rows", f"must be at most {vocabulary}, the number of tokens")


def one_token(model: OpenModel, text: str, flag: str, can: str) -> int:
    """The id of a text of one token. Raises InputError for one of none or several.

    can: what can be done with one.
    """
    ids = model.encode_part(text, special=True, subject=flag)
    if len(ids) == 1:
        return ids[0]
    pieces = ", ".join(repr(model.token(each).text) for each in ids)
    reason = f"is {len(ids)} tokens ({pieces}), and one {can}" if ids else "is empty"
    raise InputError(flag, reason, "within a text, a word begins with a space")
