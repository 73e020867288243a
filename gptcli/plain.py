"""Dataclasses that cost little to declare: `dataclass` as that of the standard library.

That one writes six methods of each class as text and compiles them when the module is imported,
which was a fifth of what a short completion took. Here a constructor is compiled when the first
instance is made, and the rest are functions that know the names of the fields. To `fields`,
`replace`, `is_dataclass` and type checkers what comes of it is a dataclass like others.
"""

from __future__ import annotations

import dataclasses
from operator import attrgetter
from reprlib import recursive_repr
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from dataclasses import dataclass
else:

    def dataclass(cls=None, /, *, frozen=False, eq=True, kw_only=False):
        """See `dataclasses.dataclass`, which has more options, and `InitVar`."""

        def decorated(cls):
            # What stands on another has its own rules.
            stands = hasattr(cls, "__dataclass_fields__") or hasattr(cls, "__post_init__")
            made = dataclasses.dataclass if stands else _made
            return made(cls, frozen=frozen, eq=eq, kw_only=kw_only)

        return decorated if cls is None else decorated(cls)


__all__ = ["dataclass"]

#: In the place of a default that is made anew for each instance.
_FROM_FACTORY = object()


def _made(cls: Any, *, frozen: bool, eq: bool, kw_only: bool) -> Any:
    # For one without a docstring the library writes one, by a signature that is not there yet.
    cls.__doc__ = cls.__doc__ or cls.__name__
    own = vars(cls)
    hashed = own.get("__hash__") is not None
    dataclasses.dataclass(init=False, repr=False, eq=False, kw_only=kw_only)(cls)
    cls.__dataclass_params__.frozen = frozen
    fields = dataclasses.fields(cls)

    def constructor(self: Any, *args: Any, **named: Any) -> None:
        cls.__init__ = _constructor(cls, frozen=frozen)
        cls.__init__(self, *args, **named)

    if "__init__" not in own:
        cls.__init__ = constructor
    if "__repr__" not in own:
        cls.__repr__ = _shown([each.name for each in fields if each.repr])
    if eq:
        compared = [each.name for each in fields if each.compare]
        values = _tuple_of(compared)
        if "__eq__" not in own:
            cls.__eq__ = _equality(values)
        if not hashed:
            cls.__hash__ = (lambda self: hash(values(self))) if frozen else None
    if frozen:
        _freeze(cls, {each.name for each in fields})
    return cls


def _constructor(cls: Any, *, frozen: bool) -> Callable[..., None]:
    """The `__init__` that the library would have made."""
    place: dict[str, Any] = {"set_": object.__setattr__, "from_factory_": _FROM_FACTORY}
    taken: dict[bool, list[str]] = {False: [], True: []}
    lines = []
    for each in dataclasses.fields(cls):
        name = value = each.name
        said = name
        if each.default is not dataclasses.MISSING:
            place[f"default_{name}"], said = each.default, f"{name}=default_{name}"
        elif each.default_factory is not dataclasses.MISSING:
            place[f"make_{name}"], said = each.default_factory, f"{name}=from_factory_"
            value = f"make_{name}() if {name} is from_factory_ else {name}"
        taken[bool(each.kw_only)].append(said)
        lines.append(f"set_(self, {name!r}, {value})" if frozen else f"self.{name} = {value}")
    named = ["*", *taken[True]] if taken[True] else []
    head = ", ".join(["self", *taken[False], *named])
    exec(f"def __init__({head}):\n {'; '.join(lines) or 'pass'}", place)
    made: Callable[..., None] = place["__init__"]
    made.__qualname__ = f"{cls.__qualname__}.__init__"
    return made


def _tuple_of(names: list[str]) -> Callable[[Any], tuple[Any, ...]]:
    if len(names) > 1:
        return attrgetter(*names)
    return lambda self: tuple(getattr(self, name) for name in names)


def _shown(names: list[str]) -> Callable[[Any], str]:
    @recursive_repr()
    def shown(self: Any) -> str:
        values = ", ".join(f"{name}={getattr(self, name)!r}" for name in names)
        return f"{type(self).__qualname__}({values})"

    return shown


def _equality(values: Callable[[Any], tuple[Any, ...]]) -> Callable[[Any, Any], Any]:
    def equality(self: Any, other: Any) -> Any:
        if other.__class__ is not self.__class__:
            return NotImplemented
        return values(self) == values(other)

    return equality


def _freeze(cls: Any, names: set[str]) -> None:
    def set_(self: Any, name: str, value: Any) -> None:
        if type(self) is cls or name in names:
            raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")
        super(cls, self).__setattr__(name, value)

    def delete(self: Any, name: str) -> None:
        if type(self) is cls or name in names:
            raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")
        super(cls, self).__delattr__(name)

    cls.__setattr__, cls.__delattr__ = set_, delete
