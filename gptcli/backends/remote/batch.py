"""Many questions at once: so many threads, each with one question of the server's."""

from __future__ import annotations

from collections.abc import Iterator

from gptcli.backends.remote.answers import answered
from gptcli.backends.remote.remote_model import RemoteModel
from gptcli.backends.side_by_side import side_by_side
from gptcli.types.batch import BatchRequest, Ended, Told


def answer(model: RemoteModel, request: BatchRequest) -> Iterator[Told | Ended]:
    """See BatchRequest. At most `most` questions are with the server, or what its place says."""
    return side_by_side(
        lambda question: answered(model, question), request, model.place.concurrency
    )
