"""What every route works with."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

from starlette.requests import Request

from gptcli.formats.openai.fields import Fields
from gptcli.server import body
from gptcli.server.desk import Desk
from gptcli.server.problems import ProblemError
from gptcli.types.question import Question


@dataclass
class Service:
    """A model that is served: its name, and the desk where it is asked.

    supports: whether questions of a class are answered there. context: its size in tokens, None
    where there is none.
    """

    model: str
    desk: Desk
    supports: Callable[[type[Question[Any]]], bool]
    created: int = field(default_factory=lambda: int(time.time()))
    context: int | None = None

    def check_model(self, fields: Fields) -> None:
        """Take the name of a model, which may be missing. Raises ProblemError for another one."""
        self.check_name(fields.text("model"))

    def check_name(self, name: str | None) -> None:
        """Raises ProblemError for another model than this one."""
        if name not in (None, self.model):
            told = f"model: {name!r:.200} is not here, {self.model!r} is"
            raise ProblemError(404, told, "model", "model_not_found")

    def check_kind(self, kind: type[Question[Any]]) -> None:
        """Raises ProblemError for questions that this model, or place, cannot answer."""
        if not self.supports(kind):
            raise ProblemError(400, f"{self.model} cannot {kind.asks}", code="unsupported")


def service_of(request: Request) -> Service:
    """The one that the app was made for."""
    return cast(Service, request.app.state.service)


async def fields_of(request: Request) -> Fields:
    """The body, of which the model was taken. Raises ProblemError."""
    found = await body.read(request)
    service_of(request).check_model(found)
    return found
