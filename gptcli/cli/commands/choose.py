"""`gptcli choose`: which of several continuations is the most probable."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, cast

from gptcli.cli.environment import Environment
from gptcli.cli.flags.batch import Batch
from gptcli.cli.flags.groups import but
from gptcli.cli.flags.output import CountedOutput
from gptcli.cli.flags.place import Reading
from gptcli.cli.flags.source import Source, checked
from gptcli.cli.input.prompt import read_lines, read_prompt
from gptcli.cli.opening import Clock, open_for
from gptcli.config import option
from gptcli.errors import InputError, UsageError
from gptcli.plain import dataclass
from gptcli.types.choose import By, ChooseRequest
from gptcli.ui.views import choose as view

#: (what it is for, the command), for the man page.
EXAMPLES = (
    (
        "Which is likelier?",
        'gptcli choose "The capital of France is" --choice " Paris" --choice " London"',
    ),
    (
        "The winner alone, for a script; the space at the prompt's end goes over to the choices.",
        'gptcli choose --winner "Review: I loved it. Sentiment: " --choice good --choice bad',
    ),
    (
        "Choices of unlike length, one per line of a file.",
        "gptcli choose --by byte -p 'A synonym of \"happy\" is ' --choices-file words.txt",
    ),
    (
        "Without what the choices are worth anyway.",
        'gptcli choose --calibrate "N/A" -p "Sky: " --choice blue --choice green --json',
    ),
)


@dataclass(frozen=True)
class Choosing:
    """The choices, by what they are ranked, and whether only the best is told."""

    choice: tuple[str, ...] = option(
        (),
        "A continuation, exactly as it would follow the prompt. Repeatable.",
        metavar="TEXT",
        brief="A continuation. Repeatable.",
    )
    choices_file: Path | None = option(
        None,
        "More of them, one per line, after those of --choice; - is stdin.",
        metavar="FILE",
        brief="More of them, one per line.",
        stdin=True,
    )
    by: str = option(
        "total",
        "Rank by the log-probability in total, per token or per byte: total, token or byte."
        " Default: total.",
        metavar="WHAT",
        brief="Rank by the total, per token or per byte.",
        choices=("total", "token", "byte"),
    )
    calibrate: str | None = option(
        None,
        'Take away the log-probability that each has after a text without content, "N/A" say, and'
        " rank by what is left.",
        metavar="TEXT",
        brief="Take away what each is worth after TEXT.",
    )
    winner: bool = option(
        False, "Print the best choice alone.", panel="Output", brief="Print the best choice alone."
    )


def choose(
    environment: Environment,
    source: Source,
    choosing: Choosing,
    compute: Reading,
    batch: Batch,
    output: Annotated[
        CountedOutput,
        but(
            json="One JSON object: the winner, and choices, the best first, with index, logprob"
            " and tokens."
        ),
    ],
) -> None:
    """Rank texts by how probable they are as continuations.

    Log-probabilities are natural, of all tokens of a choice after the prompt; share is the
    probability of a choice where one of them must come. Prompt and choice are cut into tokens as
    one text, so a space at the prompt's end belongs to the choices, and a choice that joins the
    prompt's last word is compared from where that word begins. --calibrate gives log p(choice |
    prompt) - log p(choice | TEXT), the pointwise mutual information of arXiv:2104.08315. To a
    pipe go tab-separated values under a line of heads.
    """
    texts = _choices(choosing.choice, choosing.choices_file, environment, least=not batch.batch)
    calibrate = choosing.calibrate
    if calibrate is not None and not checked(calibrate, "--calibrate").strip():
        raise UsageError("--calibrate", "must not be empty")
    messages = output.messages(environment)
    request = ChooseRequest(
        prompt="" if batch.wanted else read_prompt(environment, source, messages),
        choices=texts,
        by=cast(By, choosing.by),
        calibrate=calibrate,
        special=source.special,
    )
    if batch.wanted:
        from gptcli.cli.batching import looks, running

        batch.refuse(source, winner=choosing.winner)
        job = looks.choices(request, compute)
        running.run_batch(environment, batch, job, messages, stats=output.stats)
        return
    clock = Clock()
    found = clock.opened(open_for(compute, messages)).answer(request)
    messages.notices(found.notices)
    if output.json:
        environment.data().json(view.as_json(found))
    elif choosing.winner or output.quiet:
        if not choosing.winner:
            environment.messages().hint("--quiet: prints the best choice alone, as --winner does")
        view.show_winner(found, environment.stdout)
    else:
        view.show(found, environment.stdout)
    if output.stats:
        messages.report(clock.stats(found.source, found.read_tokens))


def _choices(
    given: Sequence[str], file: Path | None, environment: Environment, *, least: bool
) -> tuple[str, ...]:
    """The choices of the command line and of the file; none empty, none twice, and at least two
    unless rows may have their own.
    """
    seen: set[str] = set()
    for text in given:
        if not checked(text, "--choice"):
            raise UsageError("--choice", "must not be empty")
        if text in seen:
            raise UsageError("--choice", f"{text!r} is given twice")
        seen.add(text)
    lines = [] if file is None else read_lines(environment, file)
    for number, text in enumerate(lines, start=1):
        if not text:
            raise InputError(str(file), f"line {number} is empty")
        if text in seen:
            raise InputError(str(file), f"line {number}: {text!r} is given twice")
        seen.add(text)
    texts = (*given, *lines)
    if least and len(texts) < 2:
        reason = f"at least two choices are needed, not {len(texts)}"
        raise UsageError("--choice", reason, "give it once for each, or use --choices-file")
    return texts
