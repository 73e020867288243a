"""The ways in which `gptcli explain` tells: all at once, by pages, in numbers; or the tensors."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from gptcli.backends import Backend
from gptcli.cli.exports import Exports
from gptcli.types.explain import ExplainRequest, Round
from gptcli.types.shapes import ShapesRequest
from gptcli.ui.data.writer import DataWriter
from gptcli.ui.terminal.messages import Messages
from gptcli.ui.views import explain as view
from gptcli.ui.views import shapes as shapes_view
from gptcli.ui.views.chapter import Chapter
from gptcli.ui.views.printing import caption
from gptcli.ui.views.round_chapters import chapters
from gptcli.ui.words import Words


@dataclass(frozen=True)
class Run:
    """What was asked for, and in which words to tell it. every: all layers, however many."""

    request: ExplainRequest
    words: Words
    seed: int
    every: bool

    def rounds(self, backend: Backend, messages: Messages) -> Iterator[Round]:
        """The rounds as they come; what a user should know first."""
        for each in backend.answer(replace(self.request, seed=self.seed)):
            if each.number == 1:
                messages.notices(each.distribution.notices)
            yield each

    def chapters(self, each: Round) -> Iterator[Chapter]:
        """A round in words."""
        return chapters(
            each, self.words, prompt=self.request.prompt, seed=self.seed, every=self.every
        )


def walk(backend: Backend, run: Run, exports: Exports, messages: Messages, *, step: bool) -> None:
    """Tell of every round, and write what is to be written."""
    prompt, wanted = run.request.prompt, run.request.steps
    found = run.rounds(backend, messages)
    if exports.json:
        kept = list(found)
        DataWriter(sys.stdout).json(view.as_json(prompt, run.seed, kept))
    elif step:
        kept = list(_paged(run, found))
    elif exports.to_stdout:
        kept = list(found)
    else:
        kept = list(_shown(run, found))
    if len(kept) < wanted and not step and not kept[-1].drawn.ends:
        messages.hint(f"prompt: the context is full after {len(kept)} of {wanted} steps")
    if not exports.any:
        return
    from gptcli.ui import pages
    from gptcli.ui.data import arrays
    from gptcli.ui.views import plots

    # A page has room for every layer.
    whole = replace(run, every=True)
    exports.write(
        messages,
        html=lambda: pages.explanation(
            prompt,
            kept[-1].distribution.source,
            [list(whole.chapters(each)) for each in kept],
            run.words,
        ),
        png=lambda: plots.explanation(prompt, kept),
        npz=lambda: arrays.npz(arrays.explanation(kept)),
    )


def _shown(run: Run, rounds: Iterable[Round]) -> Iterator[Round]:
    last = None
    for each in rounds:
        if sys.stdout.isatty():
            view.show(sys.stdout, each.number, run.chapters(each))
            sys.stdout.flush()
        else:
            DataWriter(sys.stdout).rows(view.rows(each))
        last = each
        yield each
    if last is not None and sys.stdout.isatty():
        caption(sys.stdout, view.source_line(last))


def _paged(run: Run, rounds: Iterable[Round]) -> Iterator[Round]:
    from gptcli.ui.terminal.keys import Keys

    seen: list[Round] = []

    def chapters_of_rounds() -> Iterator[list[tuple[str, Chapter]]]:
        for each in rounds:
            seen.append(each)
            yield [
                (f"{each.number}.{n}", chapter) for n, chapter in enumerate(run.chapters(each), 1)
            ]

    with Keys(sys.stdin, "--step") as keys:
        view.turn_pages(sys.stdout, keys, chapters_of_rounds(), run.words)
    yield from seen


def shapes(backend: Backend, run: Run, exports: Exports, messages: Messages) -> None:
    """Show the tensors of the model instead."""
    found = backend.answer(ShapesRequest(run.request.prompt, special=run.request.special))
    messages.notices(found.notices)
    chapter = shapes_view.chapter(found, run.words)
    if exports.json:
        DataWriter(sys.stdout).json(shapes_view.as_json(found))
    elif exports.to_stdout:
        pass
    elif sys.stdout.isatty():
        view.show(sys.stdout, 1, [chapter])
    else:
        DataWriter(sys.stdout).rows(shapes_view.rows(found))
    if exports.any:
        from gptcli.ui import pages
        from gptcli.ui.views import plots

        exports.write(
            messages,
            html=lambda: pages.shapes(found, chapter, run.words),
            png=lambda: plots.shapes(found),
            npz=lambda: b"",
        )
