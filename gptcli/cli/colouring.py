"""`gptcli complete --color-by` and `--html`: what is asked for their sake, and where it goes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from gptcli import units
from gptcli.backends import is_elsewhere
from gptcli.cli.environment import Environment
from gptcli.cli.exports import check_file, write
from gptcli.cli.flags.colours import Colours
from gptcli.cli.flags.output import TextOutput
from gptcli.errors import UsageError
from gptcli.types.completion import Chunk, PromptPiece, Usage
from gptcli.types.compute import Compute
from gptcli.ui.terminal.messages import Messages
from gptcli.ui.views.measures import MEASURES, PROBABILITY

if TYPE_CHECKING:
    from gptcli.ui.views.coloured_completion import Coloured, Kept
    from gptcli.ui.views.completion import CompletionView

#: How many of the likeliest tokens a page tells at each place.
_LIKELIEST = 5
_STDOUT = "-"


class Colouring:
    """What the two flags come to for one prompt.

    logprobs, prompt_logprobs, among: as Request has them. place: where the answer comes from; a
    server tells less, which is left out of a page, but not of what was asked for by name.
    """

    def __init__(
        self,
        environment: Environment,
        prompt: str,
        colours: Colours,
        output: TextOutput,
        place: Compute,
    ) -> None:
        """Raises UsageError for flags that contradict, ResourceError for a page that cannot be."""
        by, html = colours.color_by, colours.html
        if by is not None and output.json:
            raise UsageError("--color-by", "cannot be combined with --json")
        if output.json and str(html) == _STDOUT:
            raise UsageError("--html", "cannot go to stdout beside --json")
        if html is not None and str(html) != _STDOUT:
            check_file(html)
        self._environment, self._prompt, self._html = environment, prompt, html
        self._by = None if by is None else MEASURES[by]
        self._place = place
        self._echo: str | None = None
        self._view: Coloured | None = None
        self._kept: Kept | None = None
        self.logprobs = output.logprobs
        self.prompt_logprobs: int | None = None
        self.among = False
        if html is not None:
            self._ask(_LIKELIEST, prompt=not is_elsewhere(place))

    def on_terminal(self, *, echo: bool) -> None:
        """The text goes to stdout: in colours, where that is a terminal that has them.

        echo: the prompt stands before it.
        """
        if self._by is not None and _has_colours(self._environment):
            self._echo = self._prompt if echo else ""
            self._ask(0, prompt=echo)

    def _ask(self, likeliest: int, *, prompt: bool) -> None:
        self.logprobs = likeliest if self.logprobs is None else self.logprobs
        if prompt:
            self.prompt_logprobs = self.logprobs
        self.among = self._by not in (None, PROBABILITY) or not is_elsewhere(self._place)

    def view(self, samples: int) -> CompletionView | None:
        """Who shows so many samples, where that is neither text nor JSON alone."""
        if self._html is not None:
            from gptcli.ui.views.coloured_completion import Kept

            self._kept = Kept(self._prompt, samples)
        if str(self._html) == _STDOUT:
            return self._kept
        if self._echo is not None and self._by is not None:
            from gptcli.ui.views.coloured_completion import Coloured

            stream = self._environment.stdout
            self._view = Coloured(stream, self._by, samples=samples, echo=self._echo)
        return self._view

    def read(self, piece: PromptPiece) -> None:
        """Some of the prompt's tokens."""
        for each in (self._view, self._kept):
            if each is not None:
                each.prompt += piece.tokens

    def watched(self, events: Iterable[Chunk | Usage]) -> Iterator[Chunk | Usage]:
        """The events, on their way to who shows them."""
        return iter(events) if self._kept is None else self._kept.watched(events)

    def finish(self, messages: Messages) -> None:
        """The page, where one is wanted. Raises ResourceError."""
        kept = self._kept
        if self._html is None or kept is None or kept.usage is None:
            return
        from gptcli.ui.pages.completion import completion

        by = self._by or PROBABILITY
        page = completion(kept.usage, kept.asked, kept.samples, kept.reasons, by).encode()
        if str(self._html) == _STDOUT:
            self._environment.data().write_bytes(page)
        else:
            write(self._html, page)
            messages.info(f"wrote {self._html} ({units.size(len(page))})")


def _has_colours(environment: Environment) -> bool:
    if not environment.on_terminal:
        return False
    from gptcli.ui.terminal.pieces import has_colour

    return has_colour(environment.stdout)
