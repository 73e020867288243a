"""What `/set` of a chat changes, and what `/set` alone lists."""

from __future__ import annotations

from dataclasses import replace

from gptcli.chat.talk import Talk
from gptcli.cli.flags.generation import Generation
from gptcli.cli.flags.thinking import Thinking
from gptcli.config import check, key_of
from gptcli.errors import UsageError
from gptcli.types.chat import OVERFLOWS
from gptcli.types.sampling import NUMBERS, SamplingWish

_SAMPLING = tuple(map(key_of, NUMBERS))
_OVERFLOW = "on-overflow"
#: Those that are not of the sampler.
_GROUPS = {"max-new-tokens": Generation, "think-budget": Thinking}
SETTINGS = (*_SAMPLING, *_GROUPS, "seed", _OVERFLOW)


def change(talk: Talk, name: str, value: str) -> None:
    """Set one of SETTINGS for the answers to come. Raises UsageError."""
    known = name.replace("_", "-")
    if known not in SETTINGS:
        raise UsageError(f"/set {name}", "is no setting", f"known: {', '.join(SETTINGS)}, system")
    if known == _OVERFLOW:
        if value not in OVERFLOWS:
            raise UsageError(f"/set {name}", f"must be one of {', '.join(OVERFLOWS)}")
        talk.request = replace(talk.request, drop_oldest=value == "drop-oldest")
        return
    try:
        checked = check(_GROUPS.get(known, SamplingWish), known.replace("-", "_"), value)
    except ValueError as error:
        raise UsageError(f"/set {name}", str(error)) from None
    _change(talk, known, checked)


def _change(talk: Talk, name: str, value: object) -> None:
    request, field = talk.request, name.replace("-", "_")
    if name in _SAMPLING:
        wish = replace(request.sampling, **{field: value})  # type: ignore[arg-type]
        talk.request = replace(request, sampling=wish)
    elif name == "seed":
        # The next answer is drawn with this very seed.
        talk.request = replace(request, seed=int(str(value)))
        talk.answers = 0
    elif name == "think-budget":
        talk.request = replace(request, think_budget=int(str(value)))
    else:
        limit = int(str(value))
        talk.request = replace(request, max_new_tokens=None if limit < 0 else limit)


def rows(talk: Talk) -> list[tuple[str, str]]:
    """(name, value) of each setting."""
    request = talk.request
    wish = [getattr(request.sampling, name.replace("-", "_")) for name in _SAMPLING]
    found = [
        (name, "the model's own" if value is None else f"{value:g}")
        for name, value in zip(_SAMPLING, wish, strict=True)
    ]
    limit, budget = request.max_new_tokens, request.think_budget
    return [
        *found,
        ("max-new-tokens", "as many as fit" if limit is None else str(limit)),
        ("think-budget", "as long as it takes" if budget is None else str(budget)),
        ("seed", str((request.seed + talk.answers) % 2**32)),
        (_OVERFLOW, OVERFLOWS[request.drop_oldest]),
    ]
