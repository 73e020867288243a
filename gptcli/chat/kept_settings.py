"""What a session keeps beside its messages: all that makes it the same document when it goes on.

    temperature … dynatemp_exponent   numbers of the sampler, where they were said
    logit_bias                        ["TOKEN=BIAS", …]
    samplers, dry_sequence_breakers   texts
    ban                               texts
    seed                              that of the next answer
    max_new_tokens                    -1: as many as fit
    stop                              texts
    on_overflow                       error or drop-oldest
    think_budget                      tokens
    chat_template                     a name, or a file's absolute path
    think, effort, template_set       true or false; a word; ["KEY=VALUE", …]
    transcript                        the five texts of a TranscriptForm
    adapters                          DIR=SCALE, absolute
    steering                          FILE=SCALE@FROM:TO, absolute

Sessions of before some of these were kept do not have them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

from gptcli import config
from gptcli.chat.sessions import Session
from gptcli.errors import InputError
from gptcli.types.chat import EFFORTS, OVERFLOWS, ChatForm, ChatRequest, TranscriptForm, variable
from gptcli.types.models import AdapterRef, SteerRef
from gptcli.types.samplers import samplers
from gptcli.types.sampling import NUMBERS, SamplingWish

_NAMES = ("user_name", "assistant_name")
_FORM = frozenset(("chat_template", "transcript", *_NAMES))
#: What of the sampler is a list of texts, and how each is checked.
_LISTS: dict[str, Callable[[str], str]] = {
    "samplers": lambda text: samplers(text)[0],
    "dry_sequence_breakers": lambda text: _filled(text),
    "ban": lambda text: _filled(text),
}


def settings_of(
    request: ChatRequest,
    answers: int,
    adapters: tuple[AdapterRef, ...] = (),
    steering: tuple[SteerRef, ...] = (),
) -> dict[str, Any]:
    """The settings of a conversation in which so many answers were drawn since its seed was set.

    adapters, steering: by paths that hold from any directory.
    """
    sampling, form = request.sampling, request.form
    found: dict[str, Any] = {
        field: value for field in NUMBERS if (value := getattr(sampling, field)) is not None
    }
    found["seed"] = (request.seed + answers) % 2**32
    limit = request.max_new_tokens
    found["max_new_tokens"] = -1 if limit is None else limit
    found["on_overflow"] = OVERFLOWS[request.drop_oldest]
    if sampling.logit_bias:
        found["logit_bias"] = [f"{token}={bias!r}" for token, bias in sampling.logit_bias]
    found |= {name: list(said) for name in _LISTS if (said := getattr(sampling, name))}
    if request.stop:
        found["stop"] = list(request.stop)
    if form.transcript is not None:
        found["transcript"] = asdict(form.transcript)
    elif form.template is not None:
        found["chat_template"] = _lasting(form.template)
    found |= {} if request.think_budget is None else {"think_budget": request.think_budget}
    found |= {} if form.think is None else {"think": form.think}
    found |= {} if form.effort is None else {"effort": form.effort}
    if form.variables:
        found["template_set"] = [f"{name}={value}" for name, value in form.variables]
    if adapters:
        found["adapters"] = [f"{each.path}={each.scale!r}" for each in adapters]
    if steering:
        found["steering"] = [each.name for each in steering]
    return found


def restored(request: ChatRequest, session: Session, said: Collection[str]) -> ChatRequest:
    """The request with the messages and the settings of a session.

    said: the settings that the command line and the environment named, which outweigh those of the
    session. Raises InputError for settings that cannot be.
    """
    kept = _Kept(session, said)
    sampling = {name: value for name in NUMBERS if (value := kept.number(name)) is not None}
    biases = kept.each("logit_bias", lambda text: config.check(SamplingWish, "logit_bias", text))
    if biases is not None:
        sampling["logit_bias"] = biases
    for name, check in _LISTS.items():
        said_before = kept.each(name, check)
        if said_before is not None:
            sampling[name] = said_before
    stops, limit = kept.each("stop", _filled), kept.get("max_new_tokens", _limit)
    budget = kept.get("think_budget", _count)
    seed, overflow = kept.number("seed"), kept.get("on_overflow", _overflow)
    return replace(
        request,
        messages=session.messages,
        form=_told(request.form, _form(request.form, kept), kept),
        sampling=replace(request.sampling, **sampling),
        seed=request.seed if seed is None else seed,
        max_new_tokens=request.max_new_tokens if limit is None else limit if limit >= 0 else None,
        stop=request.stop if stops is None else stops,
        drop_oldest=request.drop_oldest if overflow is None else overflow == OVERFLOWS[True],
        think_budget=request.think_budget if budget is None else budget,
    )


def adapters_of(session: Session) -> tuple[AdapterRef, ...]:
    """The adapters that a session was held with. Raises InputError."""
    return _Kept(session, ()).each("adapters", AdapterRef.parse) or ()


def steering_of(session: Session) -> tuple[SteerRef, ...]:
    """The control vectors that a session was held with. Raises InputError."""
    return _Kept(session, ()).each("steering", SteerRef.parse) or ()


class _Kept:
    """The settings of a session that nobody outweighs, each checked as it is read."""

    def __init__(self, session: Session, said: Collection[str]) -> None:
        self.said = said
        self._session = session

    def get(self, name: str, check: Callable[[Any], Any]) -> Any:
        """The setting as `check` has it, None where it is not kept or is outweighed."""
        if name in self.said or name not in self._session.settings:
            return None
        try:
            return check(self._session.settings[name])
        except ValueError as error:
            raise InputError(f"session {self._session.name}", f"{name} {error}") from None

    def number(self, name: str) -> Any:
        """A number of the sampler."""
        return self.get(name, lambda value: config.check(SamplingWish, name, value))

    def each(self, name: str, check: Callable[[str], Any]) -> tuple[Any, ...] | None:
        """Several texts, each as `check` has it."""
        return self.get(name, lambda value: tuple(check(each) for each in _texts(value)))  # type: ignore[no-any-return]


def _form(said: ChatForm, kept: _Kept) -> ChatForm:
    """The session's form, with what was said of it since."""
    template, transcript = kept.get("chat_template", _filled), kept.get("transcript", _transcript)
    now = _FORM & set(kept.said)
    if not now and (template or transcript):
        return ChatForm(template, transcript)
    if transcript is not None and said.transcript is not None and now <= set(_NAMES):
        # Other names, in the same transcript.
        names = {name: getattr(said.transcript, name) for name in now}
        return ChatForm(transcript=replace(transcript, **names))
    return said


def _told(said: ChatForm, found: ChatForm, kept: _Kept) -> ChatForm:
    """A form, told what the session's was, where nobody said otherwise."""
    think, effort = kept.get("think", _switch), kept.get("effort", _effort)
    variables = kept.each("template_set", variable)
    return replace(
        found,
        think=said.think if think is None else think,
        effort=effort or said.effort,
        variables=said.variables if variables is None else variables,
    )


def _lasting(template: str) -> str:
    """A file from wherever the session goes on; the names of templates are no paths."""
    path = Path(template).expanduser()
    is_path = any(letter in template for letter in "/\\.~")
    return str(path.absolute()) if is_path and path.is_file() else template


def _texts(value: object) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise ValueError("must be a list of texts")
    return value


def _filled(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("must be a text")
    return value


def _limit(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not -1 <= value <= config.MOST:
        raise ValueError(f"must be -1 or a number of tokens, not {value!r:.40}")
    return value


def _count(value: object) -> int:
    found = _limit(value)
    if found < 0:
        raise ValueError(f"must be a number of tokens, not {found}")
    return found


def _switch(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("must be true or false")
    return value


def _effort(value: object) -> object:
    if value not in EFFORTS:
        raise ValueError(f"must be one of {', '.join(EFFORTS)}")
    return value


def _overflow(value: object) -> object:
    if value not in OVERFLOWS:
        raise ValueError(f"must be one of {', '.join(OVERFLOWS)}")
    return value


def _transcript(value: object) -> TranscriptForm:
    names = {field.name for field in fields(TranscriptForm)}
    if not isinstance(value, Mapping) or value.keys() != names:
        raise ValueError(f"must have {', '.join(sorted(names))}")
    return TranscriptForm(**{name: _text(each) for name, each in value.items()})


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("must be made of texts")
    return value
