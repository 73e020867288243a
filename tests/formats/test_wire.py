"""Values of gptcli.types as lines: exactly the same afterwards, and nothing else gets through."""

from __future__ import annotations

import dataclasses
import functools
import importlib
import json
import math
import pkgutil
import types as python_types
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import gptcli.types
from gptcli import errors
from gptcli.formats import wire
from gptcli.types.chat import ChatRequest, Message
from gptcli.types.completion import Chunk, Request, TokenInfo
from gptcli.types.compute import Compute
from gptcli.types.events import Notice
from gptcli.types.few_shot import Expected, FewShotQueries, FewShotRequest, Query
from gptcli.types.neighbors import Term
from gptcli.types.next_tokens import Whole
from gptcli.types.score import Score
from gptcli.types.secret import Secret
from tests.sweeps import in_turn

#: What is no value, but something that is under way: whoever sends questions has ways of its own.
UNDER_WAY = {"Asked", "Told", "BatchRequest", "ScoreRows", "Row"}


@functools.cache
def classes() -> tuple[type, ...]:
    """Every dataclass of gptcli.types."""
    found = []
    for each in pkgutil.iter_modules(gptcli.types.__path__):
        module = importlib.import_module(f"gptcli.types.{each.name}")
        found += [
            kind
            for kind in vars(module).values()
            if isinstance(kind, type)
            and dataclasses.is_dataclass(kind)
            and kind.__module__ == module.__name__
        ]
    return tuple(kind for kind in found if kind.__name__ not in UNDER_WAY)


def error(kind: type, *parts: Any) -> errors.GptcliError:
    return kind(*parts)


ERRORS = [each for each in vars(errors).values() if isinstance(each, type)]
TEXT = st.text(alphabet=st.characters(exclude_categories=()), max_size=5)


@functools.cache
def made(hint: Any, depth: int = 0) -> st.SearchStrategy[Any]:
    """Any value that a type hint allows, by rules of its own, not the writer's."""
    origin, inside = get_origin(hint), get_args(hint)
    plain: dict[Any, st.SearchStrategy[Any]] = {
        str: TEXT,
        bytes: st.binary(max_size=5),
        int: st.integers(),
        float: st.floats() | st.integers(),
        bool: st.booleans(),
        Secret: st.none(),
        type(None): st.none(),
        Path: st.text(max_size=5).map(Path),
        errors.GptcliError: st.builds(error, st.sampled_from(ERRORS), TEXT, TEXT, st.none() | TEXT),
    }
    if hint in plain:
        return plain[hint]
    if origin is Literal:
        return st.sampled_from(inside)
    if origin is tuple and inside[-1] is not ...:
        return st.tuples(*(made(each, depth) for each in inside))
    if origin in (tuple, Iterable):
        if depth > 4:
            return st.just(())
        return st.lists(made(inside[0], depth + 1), max_size=2).map(tuple)
    if origin is frozenset:
        # In the order in which they are written: a repr tells which came first.
        found = st.frozensets(made(inside[0]), max_size=2)
        return found.map(lambda some: frozenset(sorted(some)))
    if origin is Mapping:
        return st.dictionaries(made(inside[0]), made(inside[1]), max_size=2)
    if origin in (Union, python_types.UnionType):
        return st.one_of(*(made(each, depth + 1) for each in inside))
    kinds = [each for each in classes() if issubclass(each, hint)]
    return st.one_of(*(st.deferred(lambda kind=kind: whole(kind, depth)) for kind in kinds))


@functools.cache
def whole(kind: type, depth: int = 0) -> st.SearchStrategy[Any]:
    hints = get_type_hints(kind, localns={})
    parts = {f.name: made(hints[f.name], depth + 1) for f in dataclasses.fields(kind)}
    return st.builds(kind, **parts)


@in_turn("kind", classes())
def test_every_class_comes_back_exactly(kind):
    """Catches a class that cannot be written, or loses something: a whole number made a float, a
    class that is derived from the hint's, halves of characters, a NaN.
    """

    @settings(
        max_examples=8,
        database=None,
        deadline=None,
        suppress_health_check=[*HealthCheck],
    )
    @given(whole(kind))
    def check(value: Any) -> None:
        line = wire.line(value)
        assert line.endswith(b"\n") and line.count(b"\n") == 1
        back = wire.value(line)
        # NaN is not itself; a repr tells 1 from 1.0, a tuple from a list, and each class.
        assert repr(back) == repr(value)
        assert type(back) is kind

    check()


@pytest.mark.parametrize("kind", ERRORS, ids=lambda kind: kind.__name__)
def test_errors_come_back_with_their_exit_code(kind):
    for hint in (None, "try another"):
        back = wire.value(wire.line(kind("prompt", "is empty", hint)))
        assert type(back) is kind and str(back) == str(kind("prompt", "is empty", hint))


def test_an_error_of_another_room_is_the_one_it_is_derived_from():
    """Catches a class that the other side could not even look up."""

    class OwnError(errors.ModelError):
        pass

    back = wire.value(wire.line(OwnError("model", "broken")))
    assert type(back) is errors.ModelError and str(back) == "model: broken"


def test_floats_are_the_same_bits():
    values = (0.1, -0.0, math.inf, -math.inf, 5e-324, 1.7976931348623157e308, 1 / 3)
    back = wire.value(wire.line(Whole(values, (b"\x00\xff", b"")))).logprobs
    assert [each.hex() for each in back] == [each.hex() for each in values]
    assert math.isnan(wire.value(wire.line(Whole((math.nan,), ()))).logprobs[0])
    # Some of them whole numbers: these stay what they are.
    assert repr(wire.value(wire.line(Whole((1, 0.5), ()))).logprobs) == "(1, 0.5)"


def test_queries_may_be_of_a_class_that_is_derived():
    asked = FewShotQueries(FewShotRequest(()), [Query("a", "b"), None, Expected("c", "d", "e")])
    back = wire.value(wire.line(asked))
    assert back.queries == (Query("a", "b"), None, Expected("c", "d", "e"))


GOOD = json.loads(wire.line(Request("Hi")))["completion.Request"]


@pytest.mark.parametrize(
    "said",
    [
        GOOD,
        {},
        {"completion.Request": GOOD, "chat.ChatRequest": []},
        {"completion.Request": GOOD[:-1]},
        {"completion.Request": [*GOOD, None]},
        {"completion.Request": {"prompt": "Hi"}},
        {"completion.Request": [1, *GOOD[1:]]},
        {"completion.Request": [GOOD[0], None, *GOOD[2:]]},
        {"completion.Request": [*GOOD[:2], True, *GOOD[3:]]},
        {"completion.Request": [*GOOD[:2], 2.0, *GOOD[3:]]},
        {"completion.Request": [*GOOD[:3], "abc", *GOOD[4:]]},
        {"completion.Request": [*GOOD[:3], [1], *GOOD[4:]]},
        {"completion.Event": []},
        {"completion.Iterator": []},
        {"completion.field": []},
        {"completion.Notice": ["a", "b"]},
        {"completion.Nothing": []},
        {"nowhere.Request": GOOD},
        {"completion": GOOD},
        {"..os.path": []},
        {"os.stat_result": []},
        {"errors.Exception": ["a", "b", None]},
        {"errors.UsageError": ["a", "b"]},
        {"errors.UsageError": ["a", 2, None]},
        {"chat.Message": ["robot", "Hi", []]},
        {"neighbors.Term": [True, "a"]},
        {"next_tokens.Whole": ["####", []]},
        {"next_tokens.Whole": ["AAAA", []]},
        {"next_tokens.Whole": [[0.5, "1"], []]},
        {"next_tokens.Whole": [[], ["\u0100"]]},
        {"tokens.Tokens": ["m", [1], [[1, [1, "a", False]], [1, [1, "a", False]]], "a", []]},
        {"score.ScoreRows": []},
        {"batch.BatchRequest": [None, None]},
        {"sampling.Sampling": ["NaN", 0, 1.0, 0.0, 1.0, 0.0, 0.0, [], 0, [[]]]},
    ],
    ids=lambda said: json.dumps(said)[:60],
)
def test_what_is_not_exactly_right_is_refused(said):
    """Catches a reader that guesses: the other side would answer another question."""
    with pytest.raises(wire.WireError):
        wire.value(json.dumps(said).encode())


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\n",
        b"{",
        b"\xff",
        b'{"completion.Request":',
        b"[" * 100_000,
        b'{"events.Progress": ["a", ' + b"9" * 10_000 + b", null]}",
        b'{"events.Progress": ["a", NaN, null]}',
    ],
    ids=lambda line: repr(line[:30]),
)
def test_a_broken_line_is_one_error(line):
    with pytest.raises(wire.WireError):
        wire.value(line)


@pytest.mark.parametrize(
    "value",
    [
        object(),
        {"a": 1},
        [1],
        None,
        python_types.SimpleNamespace(),
        Compute(api_key_file=Secret("a-key")),
        Request(b"Hi"),  # type: ignore[arg-type]
        Request("Hi", stop=["a"]),  # type: ignore[arg-type]
        Request("Hi", samples=True),
        ChatRequest((Message("robot", "Hi"),)),  # type: ignore[arg-type]
        ChatRequest((Notice("a", "b"),)),  # type: ignore[arg-type]
        Term(True, "a"),  # type: ignore[arg-type]
        FewShotQueries(FewShotRequest(()), iter(())),
        Chunk("a", tokens=(TokenInfo("a", 1, "0", b"a"),)),  # type: ignore[arg-type]
    ],
    ids=lambda value: repr(value).partition(" object at ")[0][:40],
)
def test_what_no_hint_allows_is_not_written(value):
    with pytest.raises(wire.WireError):
        wire.line(value)


def test_what_was_left_out_of_the_walk_is_really_under_way():
    """Catches a class that could be written and is not tried."""
    for each in ("batch", "score"):
        module = importlib.import_module(f"gptcli.types.{each}")
        for name in UNDER_WAY & set(vars(module)):
            with pytest.raises(wire.WireError):
                wire._parts(vars(module)[name])
    assert Score in classes()
