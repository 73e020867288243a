"""A Capture for a CPU: what was done is done again, operation by operation, as a GPU would."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

#: What a GPU cannot record: a number that Python asks for, or data that Python brings.
_HOST = {"aten::_local_scalar_dense", "aten::lift_fresh", "aten::nonzero"}


class Recorded(TorchDispatchMode):
    """The operations of a function, which leave everything as it was while they are recorded.

    Whatever Python decided on its way is the same each time, as in a CUDA graph: a length that was
    told, a place that was counted. Raises RuntimeError where a graph could not be recorded.
    """

    def __init__(self) -> None:
        super().__init__()
        self._done: list[tuple[Any, Any, Any, Any]] = []
        self._made: set[int] = set()
        self._before: list[tuple[Tensor, Tensor]] = []
        self._met: set[int] = set()
        self.times = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func._schema.name in _HOST:
            raise RuntimeError(f"{func} while recording")
        for each in tree_flatten((args, kwargs))[0]:
            if isinstance(each, Tensor) and id(each) not in self._made | self._met:
                self._met.add(id(each))
                self._before.append((each, each.clone()))
        found = func(*args, **kwargs)
        self._made |= {id(each) for each in tree_flatten(found)[0] if isinstance(each, Tensor)}
        self._done.append((func, args, kwargs, found))
        return found

    def record(self, function: Callable[[], Tensor]) -> Tensor:
        with self:
            found = function()
        for tensor, before in self._before:
            tensor.copy_(before)
        return found

    def again(self) -> dict[int, Tensor]:
        self.times += 1
        now: dict[int, Tensor] = {}

        def mapped(value: Any) -> Any:
            return now.get(id(value), value) if isinstance(value, Tensor) else value

        for func, args, kwargs, before in self._done:
            found = func(*tree_map(mapped, args), **tree_map(mapped, kwargs))
            pairs = zip(tree_flatten(before)[0], tree_flatten(found)[0], strict=True)
            now |= {id(old): new for old, new in pairs if isinstance(old, Tensor)}
        return now


class Recording:
    """See Capture. made: all that were."""

    def __init__(self) -> None:
        self.made: list[Recorded] = []

    def __call__(self, function: Callable[[], Tensor]) -> Callable[[], Tensor]:
        made = Recorded()
        found = made.record(function)
        self.made.append(made)
        return lambda: made.again()[id(found)]
