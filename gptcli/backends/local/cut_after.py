"""A prompt and texts that are to follow it as tokens: all of them from one border on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gptcli.backends.local.open_model import OpenModel
from gptcli.backends.local.prompt_notices import plain_control_token
from gptcli.errors import InputError
from gptcli.plain import dataclass
from gptcli.text.continuation import split_continuation
from gptcli.text.cut import own_bytes
from gptcli.types.events import Notice


@dataclass(frozen=True)
class Cut:
    """The tokens that all texts stand after, and those of each text.

    own: how many of the prompt's tokens are of its text, and not put before it. moved: the bytes
    of the prompt that went over to the texts, less its last white space. invented: bytes of each
    text's tokens that nobody wrote.
    """

    prompt: list[int]
    rows: list[list[int]]
    own: int
    moved: int
    invented: list[int]


def cut_after(
    model: OpenModel,
    prompt: str,
    texts: Sequence[str],
    names: Sequence[str],
    *,
    special: bool,
    subject: str = "prompt",
    before: str = "the choices",
) -> Cut:
    """Prompt and texts as tokens, each pair cut as one text.

    Where a text joins the prompt's last token, the border moves back for all texts, so that all
    are compared from the same place: what they have in common changes no comparison.
    names: of the texts in errors; subject: of the prompt; before: what the prompt stands before.
    Raises InputError for a text without a token and for a prompt too short to begin from,
    ContextError where prompt and text do not fit.
    """
    split = [split_continuation(model.tokenizer, prompt, text, special=special) for text in texts]
    border = min(len(before) for before, _ in split)
    first = split[0][0][:border]
    rows = [[*ids[border:], *after] for ids, after in split]
    for name, text, (_, after), row in zip(names, texts, split, rows, strict=True):
        if not (text and after):
            raise InputError(name, "adds no token to the prompt")
        model.check_ids(row, name)
    model.check_ids(first, subject)
    prefix = model.tokenizer.prefix
    ids = first if first[: len(prefix)] == prefix else [*prefix, *first]
    if not ids:
        reason = f"has no whole token before {before}"
        raise InputError(subject, reason, "give more text, at least a word")
    for name, row in zip(names, rows, strict=True):
        model.check_length(len(ids) + len(row), f"{subject} with {name}")
    whole = model.tokenizer.encode(prompt.rstrip(), special=special)
    moved = len(own_bytes(model.tokenizer, prompt.rstrip(), whole, border, special=special))
    invented = [
        sum(map(len, map(model.tokenizer.bytes_of, row)))
        - len(own_bytes(model.tokenizer, prompt + text, [*first, *row], border, special=special))
        for text, row in zip(texts, rows, strict=True)
    ]
    return Cut(ids, rows, len(first), moved, invented)


def notices_of(
    model: OpenModel,
    prompt: str,
    texts: Sequence[str],
    cut: Cut,
    *,
    special: bool,
    what: str = "choices",
) -> Iterator[Notice]:
    """What a user should know of texts, called `what`, that follow a prompt."""
    if not special:
        for text in (prompt, *texts):
            yield from plain_control_token(model.tokenizer, text)
    if cut.moved:
        last = "byte counts" if cut.moved == 1 else f"{cut.moved} bytes count"
        each = "each" if what == "choices" else "it"
        text = f"joins the {what} within a token; its last {last} with {each}"
        yield Notice("prompt", text)
    elif prompt[-1:].isalnum() and any(text[:1].isalnum() for text in texts):
        follow, them = ("follow", "them") if what == "choices" else ("follows", "it")
        yield Notice(what, f"{follow} the prompt without a space; begin {them} with one, or end it")
