"""The ways in which `gptcli top-k` looks: once, step by step, by hand, compared, line by line."""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from gptcli.backends import Backend
from gptcli.cli.input import many_prompts
from gptcli.cli.input.prompt import checked
from gptcli.cli.opening import open_for
from gptcli.config import Settings
from gptcli.errors import ContextError, InputError, UsageError
from gptcli.evaluation.comparison import compare
from gptcli.types.next_tokens import Distribution, NextTokensRequest, Step, Walk, WalkRequest
from gptcli.ui.data.writer import DataWriter
from gptcli.ui.terminal.messages import Messages
from gptcli.ui.terminal.writer import TerminalWriter
from gptcli.ui.views import comparison as comparison_view
from gptcli.ui.views import next_tokens as table_view
from gptcli.ui.views import next_tokens_json as as_json
from gptcli.ui.views import prompt_lines, walk
from gptcli.ui.views.sampling import in_words


@dataclass(frozen=True)
class Modes:
    """The flags that say how to look."""

    stages: bool
    temperatures: tuple[float, ...]
    lines: bool
    jsonl: bool
    steps: int | None
    pick: bool
    compare: tuple[str, ...]
    compare_model: str | None
    json: bool

    @property
    def comparing(self) -> bool:
        """Whether distributions are set beside each other."""
        return bool(self.compare or self.compare_model)

    def check(self) -> None:
        """Raise UsageError for flags that do not go together."""
        ways = {
            "--lines": self.lines,
            "--jsonl": self.jsonl,
            "--steps": self.steps is not None,
            "--pick": self.pick,
            "--compare": bool(self.compare),
            "--compare-model": self.compare_model is not None,
        }
        given = [flag for flag, on in ways.items() if on]
        if len(given) > 1 and given != ["--compare", "--compare-model"]:
            raise UsageError(given[1], f"cannot be combined with {given[0]}")
        columns = {"--stages": self.stages, "--temperatures": bool(self.temperatures)}
        shown = [flag for flag, on in columns.items() if on]
        if len(shown) > 1 and not self.json:
            raise UsageError(shown[1], f"can be combined with {shown[0]} in --json only")
        many = (self.lines or self.jsonl) and self.json
        if shown and given and not many:
            raise UsageError(shown[0], f"cannot be combined with {given[0]}")
        if self.pick:
            self._check_pick()
        if "" in self.compare:
            raise InputError("--compare", "is empty")
        for other in self.compare:
            checked(other, "--compare")

    def _check_pick(self) -> None:
        if self.json:
            raise UsageError("--pick", "cannot be combined with --json")
        if not (sys.stdin and sys.stdin.isatty() and sys.stdout.isatty()):
            raise UsageError("--pick", "needs a terminal", "--steps walks on without one")
        if os.environ.get("TERM", "dumb") in ("dumb", "unknown"):
            raise UsageError("--pick", "needs a terminal that can move its cursor")


def run(
    modes: Modes, request: NextTokensRequest, settings: Settings, *, subject: str, quiet: bool
) -> None:
    """Look in the way that was asked for, and print what is seen."""
    messages = Messages(sys.stderr, quiet=quiet)
    if modes.lines or modes.jsonl:
        split = many_prompts.objects if modes.jsonl else many_prompts.lines
        prompts = split(request.prompt, subject)
        _many(modes, request, prompts, open_for(settings, messages), messages)
    elif modes.comparing:
        _compare(modes, request, settings, messages)
    elif modes.steps is not None or modes.pick:
        seed = random.SystemRandom().randrange(2**32) if settings.seed is None else settings.seed
        found = open_for(settings, messages).answer(WalkRequest(request, seed=seed))
        if modes.pick:
            _pick(found, request.prompt, messages)
        else:
            _steps(modes, found, request.prompt, seed, messages)
    else:
        _once(modes, open_for(settings, messages).answer(request), messages)


def _once(modes: Modes, found: Distribution, messages: Messages) -> None:
    messages.notices(found.notices)
    if modes.json:
        DataWriter(sys.stdout).json(as_json.distribution(found, stages=modes.stages))
    else:
        table_view.show(sys.stdout, found, stages=modes.stages)


def _many(
    modes: Modes,
    request: NextTokensRequest,
    prompts: Iterable[tuple[str, str]],
    backend: Backend,
    messages: Messages,
) -> None:
    def distributions() -> Iterator[Distribution]:
        for subject, prompt in prompts:
            yield backend.answer(replace(request, prompt=prompt, subject=subject))

    if modes.json:
        writer = DataWriter(sys.stdout)
        for found in distributions():
            writer.json(as_json.distribution(found, stages=modes.stages))
    else:
        prompt_lines.show(sys.stdout, distributions())


def _compare(
    modes: Modes, request: NextTokensRequest, settings: Settings, messages: Messages
) -> None:
    backend = open_for(settings, messages)
    found = [backend.answer(request)]
    for other in modes.compare:
        found.append(backend.answer(replace(request, prompt=other, subject="--compare")))
    if modes.compare_model is not None:
        # One model at a time: the first is let go before the second is loaded.
        backend.close()
        other_settings = replace(settings, model=modes.compare_model, adapter=())
        found.append(open_for(other_settings, messages).answer(request))
    for each in found:
        messages.notices(each.notices)
    result = compare(found, request.rows)
    if modes.json:
        DataWriter(sys.stdout).json(as_json.comparison(result))
    else:
        comparison_view.show(sys.stdout, result)


def _steps(modes: Modes, found: Walk, prompt: str, seed: int, messages: Messages) -> None:
    assert modes.steps is not None
    if found.room <= 0:
        raise ContextError("prompt", "fills the context, so that no step is left")
    steps = _walk(found, modes.steps)
    if modes.json:
        taken = list(steps)
    elif sys.stdout.isatty():
        taken = list(walk.on_terminal(sys.stdout, steps))
    else:
        taken = list(walk.as_data(sys.stdout, steps))
    text = found.taken.decode(errors="replace")
    first, last = taken[0].distribution, taken[-1]
    if modes.json:
        reason = "stop" if last.taken.ends else "length"
        DataWriter(sys.stdout).json(as_json.walk(prompt, seed, taken, text, reason))
    elif sys.stdout.isatty():
        print(file=sys.stdout)
        TerminalWriter(sys.stdout).write(f"{prompt}{text}\n")
        drawn = f"drawn with {in_words(first.sampling)}, seed {seed}"
        table_view.caption(sys.stdout, drawn)
        table_view.caption(sys.stdout, table_view.where(first.source))
    messages.notices(first.notices)
    if len(taken) < modes.steps and not last.taken.ends:
        messages.hint(f"prompt: the context is full after {len(taken)} of {modes.steps} steps")


def _walk(found: Walk, steps: int) -> Iterator[Step]:
    for number in range(1, min(steps, found.room) + 1):
        distribution, taken = found.look(), found.draw()
        yield Step(number, distribution, taken)
        if taken.ends:
            return
        found.take(taken.token.id)


def _pick(found: Walk, prompt: str, messages: Messages) -> None:
    from gptcli.ui.terminal.keys import Keys
    from gptcli.ui.terminal.picker import Picker

    writer = TerminalWriter(sys.stdout)
    text = ""
    looked = found.look() if found.room > 0 else None
    if looked is not None:
        messages.notices(looked.notices)
    try:
        with Keys(sys.stdin) as keys, Picker(sys.stdout, keys) as picker:
            while looked is not None:
                taken = picker.pick(looked, prompt + text)
                if taken is None or taken.ends:
                    break
                found.take(taken.token.id)
                text = found.taken.decode(errors="replace")
                looked = found.look() if found.room > 0 else None
    finally:
        # Also after Ctrl-C: what was picked is the result.
        writer.write(f"{prompt}{text}\n")
    if found.room <= 0:
        messages.hint("prompt: the context is full")
