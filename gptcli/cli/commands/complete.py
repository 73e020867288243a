"""`gptcli complete`: a prompt in, its continuation out."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Annotated

from gptcli.backends import settled
from gptcli.cli.answer_log import AnswerLog, Heard
from gptcli.cli.colouring import Colouring
from gptcli.cli.environment import Environment
from gptcli.cli.exports import answer_in
from gptcli.cli.flags.batch import OUTPUT, Batch
from gptcli.cli.flags.colours import Colours
from gptcli.cli.flags.constraints import Constraints
from gptcli.cli.flags.generation import DEFAULT_NEW_TOKENS, Generation
from gptcli.cli.flags.groups import but
from gptcli.cli.flags.log import Logging
from gptcli.cli.flags.output import TextOutput
from gptcli.cli.flags.place import Anywhere
from gptcli.cli.flags.source import Source, checked
from gptcli.cli.flags.templates import Templated
from gptcli.cli.input.constraint import check_whole, constraint_of
from gptcli.cli.input.template_prompt import read_templated
from gptcli.cli.opening import open_for
from gptcli.config import Limit, option
from gptcli.errors import UncertainError, UsageError
from gptcli.plain import dataclass
from gptcli.types.completion import Request, Uncertain
from gptcli.types.prompt_cache import PromptCache
from gptcli.types.sampling import SamplingWish, seed_of
from gptcli.ui.terminal.visible import visible
from gptcli.ui.views import stats as stats_lines
from gptcli.ui.views.completion import (
    AsJson,
    AsText,
    CompletionObject,
    CompletionView,
    OnTerminal,
    chunks,
)
from gptcli.ui.views.completion import at_once as when_done

#: (what it is for, the command), for the man page.
EXAMPLES = (
    (
        "Continue a text with the default model.",
        'gptcli complete "The most effective way to learn computer science is"',
    ),
    ("The most probable text, always the same.", 'gptcli complete --temp 0 "Once upon a time"'),
    (
        "From a pipe: stdin comes first, then the argument, on a line of its own.",
        'git log -5 | gptcli complete "In short:"',
    ),
    ("Up to the end of the line.", "gptcli complete --stop $'\\n' -n 40 \"My favourite word is\""),
    ("Three ways on, from one reading of the prompt.", 'gptcli complete --samples 3 -n 20 "I am"'),
    (
        "JSON, with the five likeliest tokens at each place.",
        'gptcli complete --json --logprobs 5 -n 3 "The capital of France is"',
    ),
    (
        "Only what the model is sure of: exit code 9 where it is not.",
        'gptcli complete --temp 0 --fail-below 0.3 "The capital of France is"',
    ),
    (
        "What it was sure of, and what not.",
        'gptcli complete --color-by probability --echo "The capital of France is"',
    ),
    ("The same for a browser.", 'gptcli complete --html page.html "The capital of France is"'),
    ("A prompt that ends within a word.", 'gptcli complete --heal -n 5 "The capital of Fran"'),
    (
        "A file of prompts, a result for each; after whatever stopped it, the same once more.",
        "gptcli complete --batch prompts.jsonl -o results.jsonl --resume",
    ),
    (
        "What stands between two texts, by a model that was taught to fill in.",
        "gptcli complete -m coder --suffix '    return total' 'def add(numbers):'",
    ),
    (
        "JSON and nothing else.",
        """gptcli complete --json-schema '{"type": "array", "items": {"type": "integer"}}'"""
        ' "The first five primes: "',
    ),
    ("Another model.", 'gptcli complete -m gpt2 "In a shocking finding,"'),
)


_PAGE = {
    "help": "Write prompt and completions as one self-contained page as well, coloured so, each"
    " token with its numbers and with the five likeliest (--logprobs K) at its place; - is stdout.",
    "brief": "",
}


@dataclass(frozen=True)
class Completing:
    """How many completions, from where, how sure, and how they are set apart."""

    samples: int = option(
        1,
        "How many completions of the prompt. Default: 1.",
        metavar="N",
        brief="How many completions.",
        limit=Limit(1, 4096),
    )
    heal: bool = option(
        False,
        'Where the prompt ends within a token ("The capital of Fran"), go back to where that begins'
        " and draw it anew to fit.",
    )
    suffix: str | None = option(
        None,
        "Write what stands between the prompt and this text, by a model that was taught to fill in"
        " the middle.",
        metavar="TEXT",
    )
    fail_below: float | None = option(
        None,
        "End with exit code 9 before a token whose probability, by the model before any sampling,"
        " is under P.",
        metavar="P",
        limit=Limit(0, 1, above=True),
    )
    echo: bool = option(False, "Print the prompt first.", panel="Output")
    null: bool = option(
        False, "End each completion with a NUL byte.", *("-0", "--null"), panel="Output"
    )


def complete(
    environment: Environment,
    source: Source,
    templated: Templated,
    generation: Generation,
    completing: Completing,
    constraints: Constraints,
    compute: Anywhere,
    prompts: PromptCache,
    logging: Logging,
    sampling: SamplingWish,
    batch: Annotated[Batch, but(output=OUTPUT)],
    colours: Annotated[Colours, but(html=_PAGE)],
    output: Annotated[
        TextOutput,
        but(
            logprobs="With --json or --html: the log-probability of every token, and of the K"
            " likeliest there.",
            json="OpenAI's text_completion as one JSON object: choices with text and"
            " finish_reason, usage, seed.",
            show_prompt=None,
        ),
    ],
) -> None:
    """Continue a text.

    The prompt is the argument, -p, -f FILE, or stdin. Where several are given they are joined by
    newlines in this order: files, stdin, argument. Output to a pipe or a file is exactly the
    completion; several samples each end with a newline there, or with NUL (-0).
    """
    if output.logprobs is not None and not (output.json or batch.batch or colours.html):
        raise UsageError("--logprobs", "needs --json or --html")
    if completing.suffix is not None and completing.heal:
        raise UsageError("--heal", "cannot be combined with --suffix")
    if completing.null and output.json:
        raise UsageError("--null", "cannot be combined with --json")
    messages = output.messages(environment)
    rows = batch.wanted_or_answer
    prompt = "" if rows else read_templated(environment, source, templated, messages)
    colouring = Colouring(environment, prompt, colours, output, compute)
    if batch.to_stdout and not completing.null:
        colouring.on_terminal(echo=completing.echo)
    request = Request(
        prompt=prompt,
        sampling=sampling,
        max_new_tokens=generation.new_tokens(DEFAULT_NEW_TOKENS),
        stop=generation.stop,
        seed=seed_of(sampling),
        samples=completing.samples,
        logprobs=colouring.logprobs,
        prompt_logprobs=colouring.prompt_logprobs,
        among=colouring.among,
        special=source.special,
        heal=completing.heal,
        fail_below=completing.fail_below,
        suffix=None if completing.suffix is None else checked(completing.suffix, "--suffix"),
        constraint=constraint_of(environment, constraints),
    )
    compute = settled(compute)
    if batch.batch is not None:
        from gptcli.cli.batching import running, texts

        not_here: dict[str, object] = {"template": templated.prompt, "log": logging.asked}
        not_here |= {"fail_below": completing.fail_below, "null": completing.null}
        not_here |= colours.not_in_a_batch
        batch.refuse(source, prompt_cache=prompts.asked, **not_here, stream=output.stream)
        groups = (generation, completing, constraints)
        job = texts.completions(request, groups, compute, echo=completing.echo)
        running.run_batch(environment, batch, job, messages, stats=output.stats)
        return
    log, heard = AnswerLog(logging, "complete", messages), Heard()
    with log.told(), answer_in(environment, batch.output):
        begun = time.perf_counter()
        backend = open_for(compute, messages, prompts=prompts)
        ready = time.perf_counter() - begun
        view = colouring.view(request.samples) or _view(
            environment, request, completing, output, compute.model
        )
        answered = chunks(backend.answer(request), messages, prompt=colouring.read)
        events = colouring.watched(answered)
        if log.on:
            events = heard.passing(events)
        try:
            usage = view.show(when_done(events) if output.waits else events)
        finally:
            for line in heard.lines(request.seed):
                log.add(request, model=compute.model, prompt=prompt, **line)
        colouring.finish(messages)
        if output.stats and usage is not None:
            messages.report(stats_lines.lines(usage, ready))
        if usage is not None and usage.uncertain:
            raise _uncertain(request, usage.uncertain)
        if usage is not None:
            check_whole(usage.constraint)


def _view(
    environment: Environment,
    request: Request,
    completing: Completing,
    output: TextOutput,
    model: str,
) -> CompletionView:
    samples, echoed = request.samples, request.prompt if completing.echo else ""
    if output.json:
        lines, logprobs = bool(output.stream), request.logprobs is not None
        form = CompletionObject(
            model=model, seed=request.seed, lines=lines, echo=echoed, logprobs=logprobs
        )
        return AsJson(environment.data(), form, lines=lines)
    if environment.on_terminal and not completing.null:
        return OnTerminal(environment.terminal(), samples=samples, echo=echoed)
    separator = "\0" if completing.null else "\n" if samples > 1 else ""
    return AsText(environment.data(), separator=separator, echo=echoed)


def _uncertain(request: Request, found: Sequence[Uncertain]) -> UncertainError:
    """The error for completions that ended at an improbable token: the first one is named."""
    first = found[0]
    where = f" of sample {first.index + 1}" if request.samples > 1 else ""
    reason = (
        f"token {first.position}{where} ({visible(first.token.bytes)}) has a probability of"
        f" {first.probability:.3g}"
    )
    more = f"and {len(found) - 1} more of {request.samples} samples" if len(found) > 1 else None
    return UncertainError(f"--fail-below {request.fail_below:g}", reason, more)
