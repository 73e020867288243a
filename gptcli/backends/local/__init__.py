"""The engine of this machine: the only place where text meets token ids and tensors.

`open_model` holds an open model; each other file answers one kind of question with it. A new
question is a file here and a line in `ANSWERS`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar

from gptcli.backends.base import refuse
from gptcli.types.question import Question

if TYPE_CHECKING:
    from gptcli.backends.local.open_model import OpenModel

A = TypeVar("A")

#: Which file answers a question, by its class's name, and the function in it. Neither is imported
#: before the question is asked: a process asks one or two of them.
ANSWERS: dict[str, tuple[str, str]] = {
    "Request": ("completion", "answer"),
    "NextTokensRequest": ("next_tokens", "answer"),
    "WalkRequest": ("next_tokens", "walk"),
    "ScoreRequest": ("score", "answer"),
    "ScoreRowsRequest": ("score", "rows"),
    "ScoreEventsRequest": ("score", "events"),
    "DtypeComparisonRequest": ("dtype_comparison", "answer"),
    "ChooseRequest": ("choose", "answer"),
    "AskRequest": ("ask", "answer"),
    "TreeRequest": ("tree", "answer"),
    "TokensRequest": ("tokens", "answer"),
    "DecodeRequest": ("tokens", "decoded"),
    "ChatRequest": ("chat", "answer"),
    "ChatDocumentRequest": ("chat", "document"),
    "ChatNextTokensRequest": ("chat", "next_tokens"),
    "FewShotQueries": ("few_shot", "answer"),
    "FewShotDocumentRequest": ("few_shot", "document"),
    "ExplainRequest": ("explain", "answer"),
    "PartedRequest": ("what_if", "answer"),
    "PartsOffRequest": ("parts_off", "answer"),
    "ShapesRequest": ("shapes", "answer"),
    "NeighborsRequest": ("neighbors", "answer"),
    "AttentionRequest": ("attention", "answer"),
    "LensRequest": ("lens", "answer"),
    "PartsRequest": ("parts", "answer"),
    "AblateRequest": ("ablate", "answer"),
    "AblatedCompletionRequest": ("ablate", "completed"),
    "PatchRequest": ("patch", "answer"),
    "WhyRequest": ("why", "answer"),
    "BenchRequest": ("bench", "answer"),
    "EmbeddingRequest": ("embedding", "answer"),
    "ActivationsRequest": ("activations", "answer"),
    "SteeringRequest": ("steering", "answer"),
    "SteeringReadRequest": ("steering_read", "answer"),
    "BatchRequest": ("batch", "answer"),
}


class LocalBackend:
    """A model of this disk."""

    def __init__(self, model: OpenModel) -> None:
        self._open = model

    @property
    def model(self) -> OpenModel:
        """What is open."""
        return self._open

    @property
    def context(self) -> int:
        """How many tokens a text may have, of what stands before and what is drawn."""
        return self._open.runner.limit

    def answer(self, question: Question[A]) -> A:
        """See Backend.answer."""
        if not self.supports(type(question)):
            refuse(self._open.name, question, "since no file of this backend answers that")
        file, name = ANSWERS[type(question).__name__]
        found: A = getattr(import_module(f"{__name__}.{file}"), name)(self._open, question)
        return found

    def supports(self, kind: type[Question[Any]]) -> bool:
        """See Backend.supports."""
        return kind.__name__ in ANSWERS

    def close(self) -> None:
        """See Backend.close."""
        self._open.close()
