"""The ways in which `gptcli next` looks: once, step by step, by hand, compared, line by line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from gptcli.backends import Backend, is_elsewhere
from gptcli.cli.environment import Environment
from gptcli.cli.flags.modes import Modes
from gptcli.cli.input.prompt_rows import prompts
from gptcli.cli.opening import Clock, open_for
from gptcli.errors import ContextError, UsageError
from gptcli.evaluation.comparison import compare
from gptcli.plain import dataclass
from gptcli.types.compute import Compute
from gptcli.types.next_tokens import NextTokensRequest, Step, Walk, WalkRequest
from gptcli.types.rows import Row
from gptcli.types.sampling import seed_of
from gptcli.ui.terminal.messages import Messages
from gptcli.ui.views import comparison as comparison_view
from gptcli.ui.views import next_tokens as table_view
from gptcli.ui.views import prompt_lines, walk
from gptcli.ui.views.printing import caption
from gptcli.ui.views.sampling import in_words
from gptcli.ui.views.source import where


@dataclass(frozen=True)
class Look:
    """A way to look, what is asked first, and with what, around which it is printed."""

    environment: Environment
    modes: Modes
    request: NextTokensRequest
    compute: Compute
    messages: Messages
    json: bool
    stats: bool = False

    @property
    def _backend(self) -> Backend:
        return open_for(self.compute, self.messages)

    def run(self, *, subject: str) -> None:
        """Look in the way that was asked for, and print what is seen."""
        modes = self.modes
        if modes.stages and is_elsewhere(self.compute):
            raise UsageError("--stages", "a server tells nothing of its sampler")
        if modes.lines or modes.jsonl:
            kind = "jsonl" if modes.jsonl else "lines"
            self._many(prompts(self.request.prompt, subject, kind))
        elif modes.comparing:
            self._compare()
        elif modes.steps is not None or modes.pick:
            seed = seed_of(self.request.sampling)
            found = self._backend.answer(WalkRequest(self.request, seed=seed))
            if modes.pick:
                self._pick(found)
            else:
                self._steps(found, modes.steps or 0, seed)
        else:
            self._once()

    def _once(self) -> None:
        clock = Clock()
        found = clock.opened(self._backend).answer(self.request)
        self.messages.notices(found.notices)
        if self.json:
            self.environment.data().json(table_view.as_json(found, stages=self.modes.stages))
        else:
            table_view.show(self.environment.stdout, found, stages=self.modes.stages)
        if self.stats:
            self.messages.report(clock.stats(found.source, found.prompt_tokens))

    def _many(self, rows: Iterable[tuple[str, str]]) -> None:
        """Older ways to ask for --batch: results have no keys, or are a table."""
        from gptcli.cli.batching import answers, looks

        job = looks.looks(self.request, self.compute, stages=self.modes.stages)
        numbered = (Row(name, n, {"": text}) for n, (name, text) in enumerate(rows, 1))
        outcomes = answers.answered(numbered, job, self._backend, self.messages)
        if self.json:
            writer = self.environment.data()
            for outcome in outcomes:
                writer.json(job.body(self.request, outcome.parts))
        else:
            distributions = (outcome.parts[0] for outcome in outcomes)
            prompt_lines.show(self.environment.stdout, distributions)

    def _compare(self) -> None:
        backend, request, other_model = self._backend, self.request, self.modes.compare_model
        found = [backend.answer(request)]
        for other in self.modes.compare:
            found.append(backend.answer(replace(request, prompt=other, subject="--compare")))
        if other_model is not None:
            # One model at a time: the first is let go before the second is loaded.
            backend.close()
            compute = replace(self.compute.alone, model=other_model)
            found.append(open_for(compute, self.messages).answer(request))
        for each in found:
            self.messages.notices(each.notices)
        result = compare(found, request.rows)
        if self.json:
            self.environment.data().json(comparison_view.as_json(result))
        else:
            comparison_view.show(self.environment.stdout, result)

    def _steps(self, found: Walk, wanted: int, seed: int) -> None:
        if found.room <= 0:
            raise ContextError("prompt", "fills the context, so that no step is left")
        stdout, prompt = self.environment.stdout, self.request.prompt
        steps = _walk(found, wanted)
        if self.json:
            taken = list(steps)
        elif self.environment.on_terminal:
            taken = list(walk.on_terminal(stdout, steps))
        else:
            taken = list(walk.as_data(stdout, steps))
        text = found.taken.decode(errors="replace")
        first, last = taken[0].distribution, taken[-1]
        if self.json:
            reason = "stop" if last.taken.ends else "length"
            self.environment.data().json(walk.as_json(prompt, seed, taken, text, reason))
        elif self.environment.on_terminal:
            writer = self.environment.terminal()
            writer.line()
            writer.write(f"{prompt}{text}\n")
            drawn = f"drawn with {in_words(first.sampling)}, seed {seed}"
            caption(stdout, drawn)
            caption(stdout, where(first.source))
        self.messages.notices(first.notices)
        if len(taken) < wanted and not last.taken.ends:
            full = f"prompt: the context is full after {len(taken)} of {wanted} steps"
            self.messages.hint(full)

    def _pick(self, found: Walk) -> None:
        from gptcli.ui.terminal.keys import Keys
        from gptcli.ui.views.picker import Picker

        prompt, text = self.request.prompt, ""
        stdin = self.environment.stdin
        assert stdin is not None
        looked = found.look() if found.room > 0 else None
        if looked is not None:
            self.messages.notices(looked.notices)
        try:
            with Keys(stdin) as keys, Picker(self.environment.stdout, keys) as picker:
                while looked is not None:
                    taken = picker.pick(looked, prompt + text, self.request.constraint)
                    if taken is None or taken.ends:
                        break
                    found.take(taken.token.id)
                    text = found.taken.decode(errors="replace")
                    looked = found.look() if found.room > 0 else None
        finally:
            # Also after Ctrl-C: what was picked is the result.
            self.environment.terminal().write(f"{prompt}{text}\n")
        if found.room <= 0:
            self.messages.hint("prompt: the context is full")


def _walk(found: Walk, steps: int) -> Iterator[Step]:
    for number in range(1, min(steps, found.room) + 1):
        distribution, taken = found.look(), found.draw()
        yield Step(number, distribution, taken)
        if taken.ends:
            return
        found.take(taken.token.id)
