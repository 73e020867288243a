"""An answer of a type: labels scored behind the question, or a number or a date in a chat."""

from __future__ import annotations

import json
import math
import re
from typing import Any

from gptcli.backends.asked_values import PATTERNS, as_few_shot, system_of
from gptcli.backends.remote import completion, few_shot
from gptcli.backends.remote.reading import Reader
from gptcli.backends.remote.remote_model import RemoteModel
from gptcli.backends.remote.scoring import check
from gptcli.types.ask import AskRequest, Kind, Value
from gptcli.types.chat import ChatForm, ChatRequest, Message
from gptcli.types.completion import Chunk, Usage
from gptcli.types.constraints import Constraint
from gptcli.types.few_shot import Answer, FewShotQueries, Query
from gptcli.types.sampling import SamplingWish

#: Tokens that an answer may have, thoughts among them: no form ends every number.
_MOST = 2048
#: The name of the value in an object, which every server with forms takes as the whole answer.
_NAME = "value"
#: What may come behind a number, and ends it: its end alone would be less probable than a digit.
_BEHIND: dict[Kind, str] = {
    "int": "([^0-9][^0-9]{0,15})?",
    "float": "([^0-9.][^0-9]{0,15})?",
    "date": "",
}
#: A number as JSON writes it, which is in more ways than ours.
_NUMBER = re.compile(r"-?[0-9]{1,400}(\.[0-9]{1,400})?([eE][+-]?[0-9]{1,4})?")
_SCHEMAS: dict[Kind, dict[str, Any]] = {
    "int": {"type": "integer"},
    "float": {"type": "number"},
    "date": {"type": "string", "format": "date"},
}


def answer(model: RemoteModel, request: AskRequest) -> Value:
    """See AskRequest. Raises UsageError, before anything is paid for, for what the server cannot
    tell; NetworkError for an answer that is no such value.
    """
    return _labelled(model, request) if request.type.labels else _written(model, request)


def _labelled(model: RemoteModel, request: AskRequest) -> Value:
    """The likeliest text behind the question's, as a document: no server scores in a chat."""
    check(model, request)
    if request.system:
        raise model.refuse("--system", "does not score answers in a chat")
    queries = FewShotQueries(as_few_shot(request, None), (Query("question", request.question),))
    parts = list(few_shot.answer(model, queries))
    found = next(each for each in parts if isinstance(each, Answer))
    probability = max(each.share for each in found.shares)
    return Value(request, found.text, probability, found.shares, found.prompt_tokens, model.source)


def _written(model: RemoteModel, request: AskRequest) -> Value:
    server = model.server
    if request.rated:
        reason = "does not tell how probable a value is among all of its type"
        raise model.refuse("--confidence, --fail-below", reason)
    kind = request.type.kind
    if server.forms:
        constraint = Constraint("regex", f"({PATTERNS[kind]}){_BEHIND[kind]}")
    else:
        schema = {
            "type": "object",
            "properties": {_NAME: _SCHEMAS[kind]},
            "required": [_NAME],
            "additionalProperties": False,
        }
        constraint = Constraint("json-schema", json.dumps(schema))
    system = system_of(request)
    if constraint.kind == "json-schema" and request.system is None:
        system += f' As JSON: {{"{_NAME}": …}}.'
    scene = (Message("system", system),) if system else ()
    # A chat template passes over what it does not read, gptcli's server refuses it.
    think = False if server.variables and not server.think else None
    asked = ChatRequest(
        (*scene, Message("user", request.question)),
        ChatForm(think=think),
        SamplingWish(temperature=0.0),
        _MOST,
        constraint=constraint,
    )
    text, tokens = "", 0
    for event in completion.chat(model, asked):
        if isinstance(event, Chunk):
            text += event.text
        elif isinstance(event, Usage):
            tokens = event.prompt_tokens or 0
    said = _begun(kind, text.strip()) if server.forms else _unwrapped(text)
    if said is None or not _is_value(kind, said):
        raise Reader(model.place).wrong(f"that is no {kind}")
    return Value(request, said, None, (), tokens, model.source)


def _is_value(kind: Kind, text: str) -> bool:
    if kind == "float":
        return bool(_NUMBER.fullmatch(text)) and math.isfinite(float(text))
    return bool(re.fullmatch(PATTERNS[kind], text))


def _begun(kind: Kind, text: str) -> str | None:
    """The value that a text begins with."""
    found = re.match(PATTERNS[kind], text)
    return None if found is None else found[0]


def _unwrapped(text: str) -> str | None:
    """The value in an object, numbers as they are written; None where there is none."""
    try:
        found = json.loads(text, parse_int=str, parse_float=str, parse_constant=lambda _: None)
    except (ValueError, RecursionError):
        return None
    value = found.get(_NAME) if isinstance(found, dict) else None
    return value if isinstance(value, str) else None
