"""`gptcli score --compare-dtype`: what dtypes cost against float32, over a text."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace

from gptcli.backends import Backend
from gptcli.cli.environment import Environment
from gptcli.cli.opening import open_for
from gptcli.errors import UsageError
from gptcli.types.compute import Compute
from gptcli.types.dtype_comparison import DtypeComparison, DtypeComparisonRequest
from gptcli.types.score import ScoreRequest
from gptcli.ui.terminal.messages import Messages
from gptcli.ui.terminal.progress import counting
from gptcli.ui.views import dtype_comparison as view

_FLAG = "--compare-dtype"


def check(others: Mapping[str, bool]) -> None:
    """Raise UsageError for the first of other flags that is given, and does not go with it."""
    given = next((flag for flag, on in others.items() if on), None)
    if given == "--dtype":
        reason = f"cannot be combined with {_FLAG}, which holds dtypes to float32"
        raise UsageError(given, reason)
    if given is not None:
        raise UsageError(given, f"cannot be combined with {_FLAG}")


def run(
    environment: Environment,
    request: ScoreRequest,
    dtypes: Sequence[str],
    compute: Compute,
    messages: Messages,
    *,
    json: bool,
) -> None:
    """Compare each dtype and print what was found, also where one of them fails."""
    backend = open_for(replace(compute, dtype="float32"), messages, dtypes=dtypes)
    found: list[DtypeComparison] = []
    try:
        with ExitStack() as stack:
            step: Callable[[], None] | None = None
            for dtype in dtypes:
                compare = _comparison(backend, request, dtype)
                if step is None:
                    # Said when the first is known to be possible, and not before.
                    label = f"comparing {', '.join(dtypes)}"
                    step = stack.enter_context(counting(label, len(dtypes), messages))
                found.append(compare())
                # Its model is let go before the next is opened.
                del compare
                step()
    finally:
        if found:
            messages.notices(found[0].notices)
            if json:
                environment.data().json(view.as_json(found))
            else:
                view.show(environment.stdout, found)


def _comparison(
    backend: Backend, request: ScoreRequest, dtype: str
) -> Callable[[], DtypeComparison]:
    try:
        return backend.answer(DtypeComparisonRequest(request, dtype))
    except UsageError as error:
        if error.subject != "--dtype":
            raise
        raise UsageError(_FLAG, error.reason, error.hint) from None
