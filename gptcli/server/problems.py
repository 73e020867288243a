"""What a client is told where it cannot have what it asked for, in OpenAI's shape.

{"error": {"message": …, "type": …, "param": …, "code": …}}
"""

from __future__ import annotations

from typing import Any

from starlette.responses import JSONResponse

from gptcli.errors import (
    ContextError,
    GptcliError,
    InputError,
    NonFiniteError,
    ResourceError,
    UsageError,
)
from gptcli.formats.openai.fields import FieldError
from gptcli.server.answers import SlowError
from gptcli.server.desk import BrokenError, BusyError

#: Seconds after which a client may try again where all places are taken.
RETRY_AFTER = 2
#: Stages of the sampler that can spoil what the model said, by what the request asks of them.
_STAGES = {"repeat-penalty": "repeat_penalty", "logit-bias": "logit_bias", "dry": "dry_base"}
#: Fields that have another name than the flag.
_FIELDS = {
    "samples": "n",
    "think": "enable_thinking",
    "no_think": "enable_thinking",
    "think_budget": "thinking_budget",
    "effort": "reasoning_effort",
    "template_set": "chat_template_kwargs",
}
_TYPES = {401: "authentication_error", 403: "permission_error", 404: "not_found_error"}


class ProblemError(Exception):
    """An answer that is no success. param: the field that is to blame, or None."""

    def __init__(
        self, status: int, message: str, param: str | None = None, code: str | None = None
    ) -> None:
        super().__init__(status, message)
        self.status, self.message, self.param, self.code = status, message, param, code

    @property
    def content(self) -> dict[str, Any]:
        """The body."""
        fallback = "invalid_request_error" if self.status < 500 else "server_error"
        kind = "service_unavailable" if self.status == 503 else _TYPES.get(self.status, fallback)
        told = {"message": self.message, "type": kind, "param": self.param, "code": self.code}
        return {"error": told}

    def response(self) -> JSONResponse:
        """The whole answer."""
        headers = {}
        if self.status == 503:
            headers["Retry-After"] = str(RETRY_AFTER)
        if self.status == 401:
            headers["WWW-Authenticate"] = "Bearer"
        if self.status in (408, 413):
            # What is left of the body is not read.
            headers["Connection"] = "close"
        return JSONResponse(self.content, self.status, headers)


def invalid(param: str | None, message: str, code: str | None = None) -> ProblemError:
    """A request that cannot be obeyed as it stands."""
    return ProblemError(400, message, param, code)


def problem_of(error: Exception) -> ProblemError:
    """What a client is told of an error; of a bug only that there is one."""
    match error:
        case ProblemError():
            return error
        case BusyError():
            return ProblemError(503, str(error), code="overloaded")
        case SlowError():
            return ProblemError(408, str(error), code="too_slow")
        case ContextError():
            # Its hint names a flag, which no client of this server has.
            told = f"{error.subject}: {error.reason}"
            return invalid(_param(error), told, "context_length_exceeded")
        case FieldError():
            code = "unsupported_parameter" if error.unknown else None
            return invalid(error.subject, str(error), code)
        case UsageError() | InputError():
            return invalid(_param(error), str(error))
        case NonFiniteError() if error.subject in _STAGES:
            return invalid(_STAGES[error.subject], str(error))
        case ResourceError():
            return ProblemError(503, str(error), code="out_of_memory")
        case GptcliError():
            return ProblemError(500, str(error))
        case BrokenError():
            return ProblemError(500, "the engine failed by a bug while this was under way")
        case _:
            return ProblemError(500, "this server has a bug, which its log names")


def _param(error: GptcliError) -> str | None:
    """The field that stands for a flag, or for what the engine calls it."""
    if error.subject.startswith("--"):
        flag = error.subject.split()[0].removeprefix("--").replace("-", "_")
        return _FIELDS.get(flag, flag)
    return {"prompt": "prompt", "conversation": "messages", "text": "input"}.get(error.subject)
