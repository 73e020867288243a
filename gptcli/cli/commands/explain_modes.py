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
from gptcli.ui.views.next_tokens import caption
from gptcli.ui.views.stage import Stage
from gptcli.ui.views.stages import stages
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

    def stages(self, each: Round) -> Iterator[Stage]:
        """A round in words."""
        return stages(
            each, self.words, prompt=self.request.prompt, seed=self.seed, every=self.every
        )


def walk(backend: Backend, run: Run, exports: Exports, messages: Messages, *, step: bool) -> None:
    """Tell of every round, and write what is to be written."""
    prompt, wanted = run.request.prompt, run.request.steps
    found = run.rounds(backend, messages)
    if exports.json:
        from gptcli.ui.views import inside_json

        kept = list(found)
        DataWriter(sys.stdout).json(inside_json.explanation(prompt, run.seed, kept))
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
            [list(whole.stages(each)) for each in kept],
            run.words,
        ),
        png=lambda: plots.explanation(prompt, kept),
        npz=lambda: arrays.npz(arrays.explanation(kept)),
    )


def _shown(run: Run, rounds: Iterable[Round]) -> Iterator[Round]:
    last = None
    for each in rounds:
        if sys.stdout.isatty():
            view.show(sys.stdout, each.number, run.stages(each))
            sys.stdout.flush()
        else:
            for line in view.rows(each):
                print(line)
        last = each
        yield each
    if last is not None and sys.stdout.isatty():
        caption(sys.stdout, view.source_line(last))


def _paged(run: Run, rounds: Iterable[Round]) -> Iterator[Round]:
    from gptcli.ui.terminal.keys import Keys

    seen: list[Round] = []

    def stage_names() -> Iterator[list[tuple[str, Stage]]]:
        for each in rounds:
            seen.append(each)
            yield [(f"{each.number}.{n}", stage) for n, stage in enumerate(run.stages(each), 1)]

    with Keys(sys.stdin, "--step") as keys:
        view.turn_pages(sys.stdout, keys, stage_names(), run.words)
    yield from seen


def shapes(backend: Backend, run: Run, exports: Exports, messages: Messages) -> None:
    """Show the tensors of the model instead."""
    found = backend.answer(ShapesRequest(run.request.prompt, special=run.request.special))
    messages.notices(found.notices)
    stage = shapes_view.stage(found, run.words)
    if exports.json:
        from gptcli.ui.views import inside_json

        DataWriter(sys.stdout).json(inside_json.shapes(found))
    elif exports.to_stdout:
        pass
    elif sys.stdout.isatty():
        view.show(sys.stdout, 1, [stage])
    else:
        for line in shapes_view.rows(found):
            print(line)
    if exports.any:
        from gptcli.ui import pages
        from gptcli.ui.views import plots

        exports.write(
            messages,
            html=lambda: pages.shapes(found, stage, run.words),
            png=lambda: plots.shapes(found),
            npz=lambda: b"",
        )
