"""Dataclasses that are declared cheaply are dataclasses as the library makes them."""

from __future__ import annotations

import dataclasses
import math
import pickle
from dataclasses import field
from functools import cached_property
from typing import Any, ClassVar

import pytest

from gptcli.plain import dataclass

Kind = dict[str, bool]
KINDS: tuple[Kind, ...] = (
    {"frozen": True},
    {},
    {"eq": False},
    {"frozen": True, "eq": False},
    {"frozen": True, "kw_only": True},
)


def _both(name: str, body: dict[str, Any], kind: Kind) -> tuple[Any, Any]:
    """The same class by our decorator and by the library's."""
    made = [decorate(**kind)(type(name, (), dict(body))) for decorate in (dataclass, _library)]
    return made[0], made[1]


_library = dataclasses.dataclass
BODY = {
    "__annotations__": {
        "number": "float",
        "told": "ClassVar[str]",
        "text": "str",
        "unseen": "int",
        "beside": "int",
        "items": "list[int]",
    },
    "told": "not a field",
    "text": "a",
    "unseen": field(default=0, repr=False),
    "beside": field(default=0, compare=False),
    "items": field(default_factory=list, compare=False),
}


@dataclass(frozen=True)
class Pickled:
    """At the top of a module, as what is pickled has to be."""

    number: int
    text: str = ""


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_instances_are_those_of_the_library(kind: Kind) -> None:
    """A field left out of the text, the comparison or the constructor, or a default that two
    instances share."""
    ours, theirs = _both("A", BODY, kind)
    seen = []
    for made in (ours, theirs):
        one, same = made(number=1.0), made(number=1.0, beside=2)
        other = made(number=1.0, text="b")
        hashes = None if made.__hash__ is None else hash(one) == hash(same)
        seen.append((repr(one), vars(one), one == same, one == other, one == 1, hashes))
        assert one.items is not same.items
        assert vars(dataclasses.replace(one, text="b")) == vars(other)
        assert dataclasses.asdict(one) == vars(one)
    assert seen[0] == seen[1]
    names = [[each.name for each in dataclasses.fields(made)] for made in (ours, theirs)]
    assert names[0] == names[1]
    assert ours.__match_args__ == theirs.__match_args__


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_constructors_take_what_the_library_s_take(kind: Kind) -> None:
    """A positional argument for a keyword's, or an error in other words than Python's."""
    for arguments in ((), (1.0,), (1.0, "b"), (1, 2, 3, 4, [5], 6)):
        told = []
        for made in _both("A", BODY, kind):
            try:
                told.append(vars(made(*arguments)))
            except TypeError as error:
                told.append(str(error))
        assert told[0] == told[1]


def test_frozen_instances_refuse_as_the_library_s_do() -> None:
    """A frozen value that can be changed, or one that refuses what is kept beside its fields."""
    told = []
    for made in _both("A", {"__annotations__": {"a": "int"}}, {"frozen": True}):
        instance = made(1)
        errors = []
        for change in (lambda i=instance: setattr(i, "a", 2), lambda i=instance: delattr(i, "a")):
            with pytest.raises(dataclasses.FrozenInstanceError) as found:
                change()
            errors.append(str(found.value))
        told.append(errors)
    assert told[0] == told[1]

    @dataclass(frozen=True)
    class Kept:
        a: int

        @cached_property
        def twice(self) -> int:
            return 2 * self.a

    assert Kept(2).twice == 4


def test_what_the_class_defines_itself_stays() -> None:
    """A method of the class that the decorator writes over."""
    body = {
        "__annotations__": {"a": "int"},
        "__repr__": lambda self: "mine",
        "__eq__": lambda self, other: True,
        "__hash__": lambda self: 7,
    }
    for made in _both("A", body, {"frozen": True}):
        assert (repr(made(1)), made(1) == made(2), hash(made(1))) == ("mine", True, 7)


def test_a_number_that_is_not_one_is_itself_as_in_tuples() -> None:
    """A single field that is compared bare: the library compares tuples, where NaN is itself."""
    nan = math.nan
    for made in _both("A", {"__annotations__": {"a": "float"}}, {"frozen": True}):
        assert made(nan) == made(nan)


def test_classes_without_fields_and_on_others() -> None:
    """No field at all, or fields of a class below, which come first."""
    for made in _both("A", {"__annotations__": {}}, {"frozen": True}):
        assert made() == made()
        assert repr(made()) == "A()"

    @dataclass(frozen=True)
    class Below:
        a: int
        told: ClassVar[str] = "x"

    @dataclass(frozen=True)
    class Above(Below):
        b: int = 2

    assert Above(1) == Above(1, 2) != Above(2, 2)
    assert repr(Below(1)).endswith("Below(a=1)")


def test_instances_are_pickled() -> None:
    """A constructor or a hash that cannot be found by the process on the other side."""
    assert pickle.loads(pickle.dumps(Pickled(3, "a"))) == Pickled(3, "a")


def test_a_class_that_refers_to_itself_is_shown() -> None:
    """A text without an end."""
    ours, theirs = _both("A", {"__annotations__": {"a": "object"}}, {})
    told = []
    for made in (ours, theirs):
        instance = made(None)
        instance.a = instance
        told.append(repr(instance))
    assert told[0] == told[1] == "A(a=...)"
