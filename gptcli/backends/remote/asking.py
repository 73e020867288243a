"""What a question becomes in OpenAI's language; what a server would ignore is refused by name."""

from __future__ import annotations

import json
import math
from typing import Any

from gptcli.backends.remote.remote_model import RemoteModel
from gptcli.backends.remote.tokens import ids_of
from gptcli.config import key_of
from gptcli.errors import UsageError
from gptcli.types.chat import ChatRequest
from gptcli.types.completion import Request
from gptcli.types.constraints import Constraint, Kind
from gptcli.types.samplers import NO_BREAKERS
from gptcli.types.sampling import LISTS, NUMBERS, SamplingWish

#: What forbids a token where a bias of minus infinity cannot be written.
_FORBIDDEN = -100.0


def completion_body(model: RemoteModel, request: Request) -> dict[str, Any]:
    """The body of a streamed completion. Raises UsageError for what the server cannot do."""
    server = model.server
    needs_completions(model)
    refuse_local_ways(model, request)
    if request.max_new_tokens is None and not server.endless:
        raise model.refuse("--max-new-tokens", "needs a number of tokens for a completion")
    if request.samples > 1 and not server.samples:
        raise model.refuse("--samples", "gives one completion at a time")
    body = _common(model, request)
    body |= constraint_fields(model, request)
    body |= {"prompt": request.prompt} | ({"n": request.samples} if request.samples > 1 else {})
    if request.max_new_tokens is not None or server.endless == "-1":
        body["max_tokens"] = -1 if request.max_new_tokens is None else request.max_new_tokens
    if request.special and server.special:
        body[server.special] = True
    if request.suffix is not None:
        if not server.suffix:
            raise model.refuse("--suffix", "fills nothing in between two texts")
        body["suffix"] = request.suffix
    if request.logprobs is not None:
        check_rivals(model, "--logprobs", request.logprobs, server.logprobs)
        body["logprobs"] = max(request.logprobs, 1)
    return body


def chat_body(model: RemoteModel, request: ChatRequest) -> dict[str, Any]:
    """The body of a streamed answer in a chat. Raises UsageError for what the server cannot do."""
    server = model.server
    writes = "writes conversations down in its own way"
    if request.form.template is not None:
        raise model.refuse("--chat-template", writes)
    if request.form.transcript is not None:
        raise model.refuse("--transcript, --user-name, --assistant-name", writes)
    if request.drop_oldest:
        raise model.refuse("--on-overflow drop-oldest", "does not say how full its context is")
    body = _common(model, request)
    body |= _thinking(model, request)
    body |= constraint_fields(model, request)
    # Its chat template takes thoughts or leaves them out, where it has one at all.
    body["messages"] = [
        {"role": m.role, "content": m.content}
        | ({"reasoning_content": m.thinking} if m.thinking and server.variables else {})
        for m in request.messages
    ]
    if request.max_new_tokens is not None:
        body[server.limit] = request.max_new_tokens
    if request.logprobs is not None:
        check_rivals(model, "--logprobs", request.logprobs, server.chat_logprobs)
        body |= {"logprobs": True, "top_logprobs": max(request.logprobs, 1)}
    return body


def _thinking(model: RemoteModel, request: ChatRequest) -> dict[str, Any]:
    """How the model is to think. Raises UsageError for what the server cannot be told."""
    server, form = model.server, request.form
    variables = form.values
    found: dict[str, Any] = {}
    if form.effort is not None:
        if not server.effort:
            raise model.refuse("--effort", "has no such setting")
        found["reasoning_effort"] = form.effort
    if form.think is not None:
        if server.think:
            found[server.think] = form.think
        elif server.variables:
            # Templates call it so, or as DeepSeek's do.
            variables = {"enable_thinking": form.think, "thinking": form.think} | variables
        else:
            raise model.refuse("--think" if form.think else "--no-think", "has no such setting")
    if form.variables and not server.variables:
        raise model.refuse("--template-set", "takes no variables of a chat template")
    if request.think_budget is not None:
        if not server.budget:
            raise model.refuse("--think-budget", "has no such setting")
        found[server.budget] = request.think_budget
    return found | ({server.variables: variables} if variables else {})


def needs_completions(model: RemoteModel) -> None:
    """Raise UsageError where the server answers in chats only."""
    if not model.server.completions:
        raise model.refuse("complete", "continues no texts", "gptcli chat asks it")


def refuse_local_ways(model: RemoteModel, request: Request) -> None:
    """Raise UsageError for what needs the model's own tokens here."""
    if request.heal:
        raise model.refuse("--heal", "draws tokens by itself")
    if request.fail_below is not None:
        raise model.refuse("--fail-below", "draws tokens by itself")
    if request.among:
        reason = "tells no ranks and no entropies"
        raise model.refuse("--color-by", reason, "--color-by probability needs neither")
    if request.prompt_logprobs is not None:
        raise model.refuse("--echo with --color-by", "does not say how expected the prompt was")


def check_rivals(model: RemoteModel, flag: str, wanted: int, most: int) -> None:
    """Raise UsageError where so many likeliest tokens are not told."""
    if not most:
        raise model.refuse(flag, "tells no log-probabilities")
    if wanted > most:
        raise model.refuse(flag, f"tells of {most} rivals at most, not of {wanted}")


def sampling_fields(model: RemoteModel, wish: SamplingWish) -> dict[str, Any]:
    """What was wished for, by the server's names; what nobody spoke of stays the server's choice.

    Raises UsageError, which names the flag, for what it would ignore.
    """
    server, found = model.server, dict[str, Any]()
    for name in NUMBERS:
        value = getattr(wish, name)
        if value is None:
            continue
        if name not in server.sampling:
            raise model.refuse(f"--{key_of(name)}", "has no such setting")
        found[server.sampling[name]] = value
    for name, flag in LISTS.items():
        said = getattr(wish, name)
        if not said:
            continue
        if name not in server.sampling:
            raise model.refuse(flag, "has no such setting")
        found[server.sampling[name]] = [] if said == NO_BREAKERS else list(said)
    if wish.logit_bias:
        if not server.bias:
            raise model.refuse("--logit-bias", "has no such setting")
        found["logit_bias"] = {
            str(_biased(model, token)): _FORBIDDEN if bias == -math.inf else bias
            for token, bias in wish.logit_bias
        }
    return found


def constraint_fields(model: RemoteModel, request: Request | ChatRequest) -> dict[str, Any]:
    """What the text has to be, in the server's words. Raises UsageError, which names the flag."""
    wanted, server = request.constraint, model.server
    if wanted is None:
        return {}
    if server.forms:
        own: dict[Kind, tuple[str, Any]] = {
            "regex": ("guided_regex", wanted.text),
            "grammar": ("grammar", wanted.text),
            "one-of": ("guided_choice", list(wanted.choices)),
        }
        found = dict([own[wanted.kind]]) if wanted.kind in own else _format(wanted)
        return found | ({"repair": True} if wanted.repair else {})
    kind = "chat" if isinstance(request, ChatRequest) else "completion"
    if wanted.kind not in ("json-object", "json-schema") or kind not in server.formats:
        raise model.refuse(wanted.flag, f"has no such form for a {kind}")
    if wanted.repair:
        raise model.refuse("--repair", "draws tokens by itself")
    return _format(wanted)


def _format(wanted: Constraint) -> dict[str, Any]:
    if wanted.kind == "json-object":
        return {"response_format": {"type": "json_object"}}
    schema = {"name": "answer", "schema": json.loads(wanted.text)}
    return {"response_format": {"type": "json_schema", "json_schema": schema}}


def _biased(model: RemoteModel, token: str) -> int:
    if token.isascii() and token.isdecimal():
        return int(token)
    if not model.server.cutting:
        raise model.refuse("--logit-bias", f"does not say which token {token!r} is", "name its id")
    ids = ids_of(model, token)
    if len(ids) != 1:
        raise UsageError("--logit-bias", f"{token!r} is {len(ids)} tokens, not one")
    return ids[0]


def _common(model: RemoteModel, request: Request | ChatRequest) -> dict[str, Any]:
    body: dict[str, Any] = {
        "model": model.place.model,
        "stream": True,
        "stream_options": {"include_usage": True},
        "seed": request.seed,
        **model.server.more,
        **sampling_fields(model, request.sampling),
    }
    if request.stop:
        body["stop"] = list(request.stop)
    return body
