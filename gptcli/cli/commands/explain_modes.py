"""The ways in which `gptcli explain` tells: all at once, by pages, in numbers; or the tensors."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from gptcli.backends import Backend
from gptcli.cli.environment import Environment
from gptcli.cli.exports import Exports
from gptcli.cli.flags.telling import Telling
from gptcli.types.events import Notice, Progress
from gptcli.types.explain import WHAT_IF, ExplainRequest, Round
from gptcli.types.parts_off import MOST_TOKENS, PartOff, PartsOffRequest
from gptcli.types.shapes import ShapesRequest
from gptcli.types.what_if import Parted, PartedRequest
from gptcli.ui.data.writer import Row
from gptcli.ui.terminal.messages import Messages
from gptcli.ui.terminal.progress import watch_steps
from gptcli.ui.views import explain as view
from gptcli.ui.views import shapes as shapes_view
from gptcli.ui.views import what_if
from gptcli.ui.views.chapter import Chapter
from gptcli.ui.views.printing import caption
from gptcli.ui.views.round_chapters import chapters
from gptcli.ui.views.what_if import WhatIf
from gptcli.ui.words import Words


@dataclass(frozen=True)
class Run:
    """What was asked for, and in which words to tell it. every: all layers, however many.

    what_if: the other walk, where there is one.
    """

    environment: Environment
    request: ExplainRequest
    words: Words
    telling: Telling
    every: bool
    what_if: WhatIf | None = None

    @property
    def parted(self) -> Parted | None:
        """How far the two walks part."""
        return None if self.what_if is None else self.what_if.parted

    def rounds(self, backend: Backend, messages: Messages) -> Iterator[Round]:
        """The rounds as they come; what a user should know first."""
        for each in backend.answer(self.request):
            if each.number == 1:
                messages.notices(each.distribution.notices)
            yield each

    def chapters(self, each: Round) -> Iterator[Chapter]:
        """A round in words: those of its chapters that are to be told."""
        request, only = self.request, self.telling.only
        found = chapters(
            each, self.words, prompt=request.prompt, seed=request.seed, every=self.every
        )
        yield from (chapter for chapter in found if not only or chapter.key in only)
        if self.what_if is not None and each.number == 1 and (not only or WHAT_IF in only):
            yield what_if.chapter(each, self.what_if, self.words, every=self.every)

    def rows(self, each: Round) -> Iterator[Row]:
        """The same as rows."""
        only = self.telling.only
        yield from view.rows(each, only)
        if self.what_if is not None and each.number == 1 and (not only or WHAT_IF in only):
            yield from what_if.rows(each, self.what_if)


def _with_other(backend: Backend, run: Run, messages: Messages) -> Run:
    """The same with the walk of the replaced prompt, where a word is to be replaced."""
    swap, request = run.telling.what_if, run.request
    if swap is None:
        return run
    prompt = swap.of(request.prompt)
    asked = PartedRequest(request.prompt, prompt, request.rows, request.window, request.special)
    # First what is wrong with the two of them.
    parted = backend.answer(asked)
    (other,) = backend.answer(replace(request, prompt=prompt, steps=1))
    return replace(run, what_if=WhatIf(swap.old, swap.new, prompt, other, parted))


def walk(backend: Backend, run: Run, exports: Exports, messages: Messages) -> None:
    """Tell of every round, and write what is to be written."""
    prompt, wanted, step = run.request.prompt, run.request.steps, run.telling.step
    run = _with_other(backend, run, messages)
    found = run.rounds(backend, messages)
    if exports.json:
        kept = list(found)
        run.environment.data().json(view.as_json(prompt, run.request.seed, kept, run.what_if))
    elif step:
        kept = list(_paged(run, found))
    elif exports.to_stdout:
        kept = list(found)
    else:
        kept = list(_shown(run, found))
    if len(kept) < wanted and not step and not kept[-1].drawn.ends:
        messages.hint(f"prompt: the context is full after {len(kept)} of {wanted} steps")
    off: list[list[PartOff]] = [[] for _ in kept]
    try:
        if exports.html is not None:
            watch_steps(_switching_off(backend, run, kept, off), messages)
    finally:
        # What was computed before something ended it is on the page.
        done, wanted = sum(map(len, off)), _parts_of(kept)
        if exports.html is not None and done < wanted:
            messages.hint(f"partial: {done} of {wanted} parts were switched off")
        if exports.any:
            _export(run, exports, messages, kept, off)


def _export(
    run: Run, exports: Exports, messages: Messages, kept: list[Round], off: list[list[PartOff]]
) -> None:
    from gptcli.ui import pages
    from gptcli.ui.data import arrays
    from gptcli.ui.views import plots

    # A page has room for every layer.
    whole, prompt = replace(run, every=True), run.request.prompt

    def html() -> str:
        from gptcli.ui.pages.walk import Told

        rounds = []
        for each, parts in zip(kept, off, strict=True):
            told = Told(each, tuple(parts))
            if run.what_if is not None and each.number == 1:
                names = run.what_if.old, run.what_if.new
                told = replace(told, other=run.what_if.walk, names=names)
            rounds.append((told, list(whole.chapters(each))))
        return pages.explanation(prompt, rounds, run.words)

    exports.write(
        messages,
        html=html,
        png=lambda: plots.explanation(prompt, kept, run.parted),
        npz=lambda: arrays.npz(arrays.explanation(kept, run.parted)),
    )


def _parts_of(rounds: Sequence[Round]) -> int:
    """How many parts are switched off, in all rounds that are not too long for it."""
    return sum(len(each.blocks) for each in rounds if each.prompt_tokens <= MOST_TOKENS)


def _switching_off(
    backend: Backend, run: Run, rounds: Sequence[Round], found: list[list[PartOff]]
) -> Generator[Progress | Notice, None, None]:
    """Ask what follows without each part, round after round, and keep what comes as it comes."""
    request, drawn = run.request, list[int]()
    steps = _parts_of(rounds)
    longest = rounds[-1].prompt_tokens
    if longest > MOST_TOKENS:
        yield Notice(
            "--html", f"switches no parts off after {longest} tokens: at most {MOST_TOKENS}"
        )
    for each, kept in zip(rounds, found, strict=True):
        token = each.drawn.token.id
        if each.prompt_tokens > MOST_TOKENS or token is None:
            return
        likeliest = (one.token.id for one in each.distribution.candidates)
        asked = PartsOffRequest(
            prompt=request.prompt,
            follow=(token, *(one for one in likeliest if one is not None)),
            drawn=tuple(drawn),
            layers=request.layers,
            rows=request.rows,
            special=request.special,
        )
        for part in backend.answer(asked):
            kept.append(part)
            yield Progress("switching parts off", sum(map(len, found)), steps)
        drawn.append(token)


def _shown(run: Run, rounds: Iterable[Round]) -> Iterator[Round]:
    stdout, last = run.environment.stdout, None
    for each in rounds:
        if run.environment.on_terminal:
            view.show(stdout, each.number, run.chapters(each))
            stdout.flush()
        else:
            run.environment.data().rows(run.rows(each))
        last = each
        yield each
    if last is not None and run.environment.on_terminal:
        caption(stdout, view.source_line(last))


def _paged(run: Run, rounds: Iterable[Round]) -> Iterator[Round]:
    from gptcli.ui.terminal.keys import Keys

    seen: list[Round] = []

    def chapters_of_rounds() -> Iterator[list[tuple[str, Chapter]]]:
        for each in rounds:
            seen.append(each)
            named = enumerate(run.chapters(each), 1)
            yield [(f"{each.number}.{n}", chapter) for n, chapter in named]

    stdin = run.environment.stdin
    assert stdin is not None
    with Keys(stdin, "--step") as keys:
        view.turn_pages(run.environment.stdout, keys, chapters_of_rounds(), run.words)
    yield from seen


def shapes(backend: Backend, run: Run, exports: Exports, messages: Messages) -> None:
    """Show the tensors of the model instead."""
    found = backend.answer(ShapesRequest(run.request.prompt, special=run.request.special))
    messages.notices(found.notices)
    chapter = shapes_view.chapter(found, run.words)
    if exports.json:
        run.environment.data().json(shapes_view.as_json(found))
    elif exports.to_stdout:
        pass
    elif run.environment.on_terminal:
        view.show(run.environment.stdout, 1, [chapter])
    else:
        run.environment.data().rows(shapes_view.rows(found))
    if exports.any:
        from gptcli.ui import pages
        from gptcli.ui.views import plots

        exports.write(
            messages,
            html=lambda: pages.shapes(found, chapter, run.words),
            png=lambda: plots.shapes(found),
            npz=lambda: b"",
        )
