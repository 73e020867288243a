"""Many questions at once."""

from __future__ import annotations

from collections.abc import Iterator

from gptcli.backends.local.open_model import OpenModel
from gptcli.backends.one_by_one import one_by_one
from gptcli.types.batch import BatchRequest, Ended, Told


def answer(model: OpenModel, request: BatchRequest) -> Iterator[Told | Ended]:
    """See BatchRequest."""
    from gptcli.backends.local import LocalBackend

    return one_by_one(LocalBackend(model).answer, request)
