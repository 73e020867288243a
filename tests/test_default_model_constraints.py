"""Schemas and expressions on the default model, judged by jsonschema and by re."""

from __future__ import annotations

import json
import re
from typing import Any

import jsonschema
import pytest

from gptcli.backends.local import LocalBackend
from gptcli.backends.local.open_model import OpenModel
from gptcli.types.completion import Chunk, Request, Usage
from gptcli.types.compute import Compute
from gptcli.types.constraints import Constraint
from gptcli.types.models import ModelDir
from tests.schemas import schemas

SEEDS, TOKENS = 20, 64
#: As many in every run, where each takes as long as a small test.
FEW_SEEDS = 4
EXPRESSIONS = (
    r"[a-z]{2,9}@[a-z]{2,9}\.(com|org)",
    r"\d{4}-\d{2}-\d{2}",
    r"(yes|no)( (yes|no)){0,3}",
    r"[A-Z][a-z]+ [A-Z][a-z]+, [1-9]\d?",
    r"#[0-9a-f]{6}",
)


def texts(
    backend: LocalBackend, prompt: str, constraint: Constraint, seeds: int
) -> tuple[list[str], Usage]:
    """One for each seed."""
    found = [""] * seeds
    usage = None
    request = Request(prompt, max_new_tokens=TOKENS, samples=seeds, constraint=constraint)
    for event in backend.answer(request):
        if isinstance(event, Chunk):
            found[event.index] += event.text
        elif isinstance(event, Usage):
            usage = event
    assert usage is not None
    return found, usage


def judge(schema: dict[str, Any], text: str) -> None:
    jsonschema.validate(json.loads(text), schema, cls=jsonschema.Draft202012Validator)


def checked(backend: LocalBackend, schema: dict[str, Any], seeds: int = SEEDS) -> None:
    """Every text that is finished is valid, and so is every text that was closed."""
    constraint = Constraint("json-schema", json.dumps(schema), repair=True)
    found, usage = texts(backend, "As JSON, for example: ", constraint, seeds)
    assert usage.constraint is not None
    cut = {each.index for each in usage.constraint.unfinished}
    for index, text in enumerate(found):
        if index not in cut:
            judge(schema, text)
    assert len(cut) <= seeds // 2


def test_there_are_200():
    """Catches a list of schemas that has become shorter, or has one twice."""
    found = schemas()
    assert len({json.dumps(each, sort_keys=True) for each in found}) == len(found) == 200


@pytest.mark.constraints
@pytest.mark.parametrize("number", range(200))
def test_texts_of_200_schemas_validate(number, default_model_as_it_is):
    """Catches a keyword that is not kept to on a real vocabulary, and a text that is not whole."""
    checked(default_model_as_it_is, schemas()[number])


@pytest.mark.parametrize("number", range(7, 200, 60))
def test_texts_of_a_few_schemas_validate(number, default_model_as_it_is):
    """Catches what the 200 catch, as far as a few can."""
    checked(default_model_as_it_is, schemas()[number], FEW_SEEDS)


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_texts_of_expressions_match(expression, default_model_as_it_is):
    """Catches an expression that is kept to otherwise than re reads it."""
    constraint = Constraint("regex", expression)
    found, usage = texts(default_model_as_it_is, "Such as ", constraint, FEW_SEEDS)
    cut = {each.index for each in usage.constraint.unfinished}
    whole = [text for index, text in enumerate(found) if index not in cut]
    assert whole
    for text in whole:
        assert re.fullmatch(expression, text), text


@pytest.fixture(scope="module")
def default_model_as_it_is(default_model, shared_data_dir) -> LocalBackend:
    """In the dtype that it runs in where nothing is said."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GPTCLI_DATA_DIR", str(shared_data_dir))
        model = OpenModel(ModelDir("smollm2", default_model, "test"), Compute(device="cpu"))
        assert model.runner
        return LocalBackend(model)
