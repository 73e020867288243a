"""Questions and who answers them: one table, one refusal."""

from __future__ import annotations

import pkgutil
from importlib import import_module
from inspect import signature

import pytest

from gptcli import types
from gptcli.backends.echo import EchoBackend
from gptcli.backends.local import ANSWERS, LocalBackend
from gptcli.backends.local.open_model import OpenModel
from gptcli.errors import UsageError
from gptcli.types.completion import Request
from gptcli.types.compute import Compute
from gptcli.types.models import ModelDir
from gptcli.types.question import Question
from gptcli.types.score import ScoreRequest
from gptcli.types.tokens import TokensRequest


def questions() -> dict[str, type]:
    """Every class of questions that the rooms know, by name."""
    for module in pkgutil.iter_modules(types.__path__):
        import_module(f"gptcli.types.{module.name}")
    kinds = (
        kind for kind in Question.__subclasses__() if kind.__module__.startswith("gptcli.types")
    )
    return {kind.__name__: kind for kind in kinds}


def test_every_question_is_in_the_table_of_the_local_backend():
    """Catches a question that nobody answers, and an answer to a question that is no more.

    How a server is, only the server can tell.
    """
    assert questions().keys() - {"StatusRequest"} == ANSWERS.keys()


@pytest.mark.parametrize("name", sorted(ANSWERS))
def test_the_table_leads_to_a_function_of_the_question(name):
    """Catches a wrong word in the table, which only whoever asks would meet."""
    file, function = ANSWERS[name]
    answer = getattr(import_module(f"gptcli.backends.local.{file}"), function)
    model, request = list(signature(answer).parameters.values())[:2]
    assert (model.annotation, request.annotation) == ("OpenModel", name)


@pytest.mark.parametrize("name", sorted(ANSWERS))
def test_what_is_not_supported_is_refused_by_name(name):
    """Catches a place that says one thing of itself and does another, or a question without words
    for its refusal.
    """
    kind = questions()[name]
    assert kind.asks
    question, echo = kind.__new__(kind), EchoBackend()
    if not echo.supports(kind):
        with pytest.raises(UsageError, match=f"echo: cannot {kind.asks}, since it is no model"):
            echo.answer(question)


def test_a_question_of_another_kind_is_refused_by_a_model_too(tiny_model):
    """Catches a KeyError for a question that came later than this backend."""

    class Other(Question[int]):
        asks = "count"

    backend = LocalBackend(OpenModel(ModelDir("tiny", tiny_model, "test"), Compute(device="cpu")))
    assert backend.supports(Request)
    assert not backend.supports(Other)
    with pytest.raises(UsageError, match="tiny: cannot count"):
        backend.answer(Other())


def test_tokens_are_cut_without_weights(tiny_model):
    """Catches weights that are read although nothing asks for them, and a close that keeps them."""
    model = OpenModel(ModelDir("tiny", tiny_model, "test"), Compute(device="cpu"), weights=False)
    backend = LocalBackend(model)
    backend.answer(TokensRequest("the cat"))
    assert "runner" not in vars(model)
    first = backend.answer(ScoreRequest("the cat sat"))
    assert "runner" in vars(model)
    backend.close()
    assert "runner" not in vars(model)
    assert backend.answer(ScoreRequest("the cat sat")) == first
