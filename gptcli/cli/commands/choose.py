"""`gptcli choose`: which of several continuations is the most probable."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, cast

import typer

from gptcli.cli.flags import adapter as adapter_options
from gptcli.cli.flags import common as options
from gptcli.cli.flags import cpu as cpu_options
from gptcli.cli.input.prompt import checked, read_lines, read_prompt
from gptcli.cli.opening import open_for, settings_of
from gptcli.errors import InputError, UsageError
from gptcli.types.choose import By, ChooseRequest
from gptcli.ui.data.writer import DataWriter
from gptcli.ui.terminal.messages import Messages
from gptcli.ui.views import choose as view

#: (what it is for, the command), for the man page.
EXAMPLES = (
    (
        "Which is likelier?",
        'gptcli choose "The capital of France is" --choice " Paris" --choice " London"',
    ),
    (
        "The winner alone, for a script; the space at the prompt's end goes over to the choices.",
        'gptcli choose -q "Review: I loved it. Sentiment: " --choice good --choice bad',
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

_BYS = ("total", "token", "byte")


def choose(
    prompt: options.PromptArgument = None,
    prompt_option: options.PromptOption = None,
    file: options.PromptFile = None,
    verbatim: options.Verbatim = False,
    choice: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TEXT",
            show_default=False,
            help="A continuation, exactly as it would follow the prompt. Repeatable.",
        ),
    ] = None,
    choices_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            show_default=False,
            help="More of them, one per line, after those of --choice; - is stdin.",
        ),
    ] = None,
    by: Annotated[
        str,
        typer.Option(
            metavar="WHAT",
            callback=options.one_of("--by", _BYS),
            autocompletion=lambda: list(_BYS),
            show_default=False,
            help="Rank by the log-probability in total, per token or per byte: total, token or"
            " byte. Default: total.",
        ),
    ] = "total",
    calibrate: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT",
            show_default=False,
            help='Take away the log-probability that each has after a text without content, "N/A"'
            " say, and rank by what is left.",
        ),
    ] = None,
    model: options.Model = None,
    adapter: adapter_options.Adapter = None,
    adapter_apart: adapter_options.Apart = False,
    device: options.Device = None,
    dtype: options.Dtype = None,
    threads: options.Threads = None,
    exact_activations: cpu_options.ExactActivations = None,
    cpu_features: cpu_options.CpuFeatures = None,
    ctx_size: options.CtxSize = None,
    special: options.Special = False,
    json: options.Json = False,
    quiet: Annotated[
        bool,
        typer.Option(
            "-q",
            "--quiet",
            rich_help_panel="Output",
            help="Print the best choice alone, and nothing on stderr but errors.",
        ),
    ] = False,
    no_color: options.NoColor = False,
) -> None:
    """Rank texts by how probable they are as continuations.

    Log-probabilities are natural, of all tokens of a choice after the prompt; share is the
    probability of a choice where one of them must come. Prompt and choice are cut into tokens as
    one text, so a space at the prompt's end belongs to the choices, and a choice that joins the
    prompt's last word is compared from where that word begins. --calibrate gives log p(choice |
    prompt) - log p(choice | TEXT), the pointwise mutual information of arXiv:2104.08315. To a
    pipe go tab-separated values under a line of heads.
    """
    settings = settings_of(locals())
    texts = _choices(choice or [], choices_file)
    if calibrate is not None and not checked(calibrate, "--calibrate").strip():
        raise UsageError("--calibrate", "must not be empty")
    request = ChooseRequest(
        prompt=read_prompt(prompt, prompt_option, file or (), verbatim=verbatim),
        choices=texts,
        by=cast(By, by),
        calibrate=calibrate,
        special=special,
    )
    messages = Messages(sys.stderr, quiet=quiet)
    found = open_for(settings, messages).answer(request)
    messages.notices(found.notices)
    if json:
        DataWriter(sys.stdout).json(view.as_json(found))
    elif quiet:
        view.show_winner(found, sys.stdout)
    else:
        view.show(found, sys.stdout)


def _choices(given: list[str], file: Path | None) -> tuple[str, ...]:
    """The choices of the command line and of the file; at least two, none empty, none twice."""
    seen: set[str] = set()
    for text in given:
        if not checked(text, "--choice"):
            raise UsageError("--choice", "must not be empty")
        if text in seen:
            raise UsageError("--choice", f"{text!r} is given twice")
        seen.add(text)
    lines = [] if file is None else read_lines(file)
    for number, text in enumerate(lines, start=1):
        if not text:
            raise InputError(str(file), f"line {number} is empty")
        if text in seen:
            raise InputError(str(file), f"line {number}: {text!r} is given twice")
        seen.add(text)
    texts = (*given, *lines)
    if len(texts) < 2:
        reason = f"at least two choices are needed, not {len(texts)}"
        raise UsageError("--choice", reason, "give it once for each, or use --choices-file")
    return texts
