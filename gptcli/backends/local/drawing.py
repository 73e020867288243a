"""How a completion's texts are drawn: alone, or beside those of others."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Protocol, TypeVar

from gptcli.types.drafts import Drafts

if TYPE_CHECKING:
    from gptcli.engine.asking.draws import Drawn, Draws
    from gptcli.engine.asking.joining import Tell
    from gptcli.engine.asking.prefix import PrefixCache
    from gptcli.engine.asking.raw_logprobs import Read

T = TypeVar("T")


class Drawing(Protocol):
    """Texts that are drawn: see `engine.asking.generate.Generation`.

    A list is empty where there is nothing yet, and others are to go on first.
    """

    @property
    def reused(self) -> int:
        """How many tokens of the prompt were computed before."""
        ...

    @property
    def drafts(self) -> Drafts | None:
        """What was drafted; None where nothing was to be."""
        ...

    def reads(self) -> Iterator[list[Read]]:
        """What the model had expected of the prompt, where that is asked for."""
        ...

    def __iter__(self) -> Iterator[list[Drawn]]:
        """The steps."""
        ...

    def stop(self, sample: int) -> None:
        """End a sample."""
        ...


#: Begins to draw: (prompt, how, how many samples).
Begin = Callable[[Sequence[int], "Draws", int], Drawing]


class Beside(Protocol):
    """What a question may have run beside others. A list is empty where there is nothing yet."""

    def draw(self, prompt: Sequence[int], draws: Draws, samples: int) -> Drawing:
        """See Begin."""
        ...

    def look(self, ids: Sequence[int], first: int, tell: Tell[T]) -> Iterator[list[T]]:
        """See `RunningBatch.look`."""
        ...

    def after(
        self, prompt: Sequence[int], rows: Sequence[Sequence[int]]
    ) -> Iterator[list[tuple[int, float]]]:
        """See `RunningBatch.after`."""
        ...


class Pause:
    """Stands among events where there is nothing yet, for who lets several go on in turn."""


PAUSE = Pause()


def unpaused(events: Generator[T | Pause, None, None]) -> Iterator[T]:
    """The events of a drawing that is alone. Closed at once where the caller stops."""
    with closing(events):
        for event in events:
            if not isinstance(event, Pause):
                yield event


def alone(prefix: PrefixCache) -> Begin:
    """Draws at once, with what `prefix` keeps of prompts before; there is no pause then."""
    from gptcli.engine.asking.generate import Generation

    def begin(prompt: Sequence[int], draws: Draws, samples: int) -> Drawing:
        return Generation(prefix, [prompt] * samples, draws)

    return begin
