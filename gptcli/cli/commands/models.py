"""`gptcli models`: what is on this disk, and finding, bringing, checking and removing it."""

from __future__ import annotations

from typing import Annotated

import typer

from gptcli import models
from gptcli.backends import free_memory
from gptcli.cli.commands.models_clean import clean
from gptcli.cli.commands.models_convert import convert
from gptcli.cli.commands.models_list import list_models
from gptcli.cli.commands.models_merge import merge
from gptcli.cli.commands.models_search import search
from gptcli.cli.commands.models_show import families, show
from gptcli.cli.environment import Environment
from gptcli.cli.flags.groups import but
from gptcli.cli.flags.model_argument import ModelArgument
from gptcli.cli.flags.output import Output
from gptcli.cli.help.screens import explain_group
from gptcli.cli.input.model_argument import here
from gptcli.config import option
from gptcli.errors import ModelError
from gptcli.plain import dataclass
from gptcli.ui.terminal.progress import watch
from gptcli.ui.views.printing import table
from gptcli.units import size

EXAMPLES = (
    ("Which names there are, and what is on this disk.", "gptcli models list"),
    ("Those of Ollama, LM Studio and llama.cpp too.", "gptcli models list --all"),
    ("What a server has.", "gptcli models list --base-url http://127.0.0.1:8000/v1"),
    ("What the hub has that runs here.", "gptcli models search qwen3 gguf"),
    ("Fetch a model before it is needed.", "gptcli models pull smollm2"),
    ("A GGUF file of the hub.", "gptcli models pull Qwen/Qwen3-4B-GGUF:Q8_0"),
    ("Its variants, and which of them fit.", "gptcli models show --variants Qwen/Qwen3-4B-GGUF"),
    ("What has changed on the hub since.", "gptcli models pull --update gpt2"),
    ("What a model is, and what memory it takes.", "gptcli models show smollm2"),
    ("Which kinds of models run, and how far they were proved.", "gptcli models families"),
    ("Whether its files are whole.", "gptcli models verify smollm2"),
    ("Where its files are.", 'ls "$(gptcli models path smollm2)"'),
    (
        "Make an adapter part of a model.",
        "gptcli models merge gpt2 --adapter ./mine -o ./gpt2-mine",
    ),
    ("A .gguf file for programs that read safetensors.", "gptcli models convert x.gguf -o ./x"),
    ("Free the space.", "gptcli models rm smollm2"),
    ("And that of what is no longer used.", "gptcli models clean --older-than 30"),
)


@dataclass(frozen=True)
class ModelArguments:
    """Models on this disk."""

    names: tuple[str, ...] = option(
        ..., "Names, as for pull.", metavar="MODEL", argument=True, completer="model"
    )


@dataclass(frozen=True)
class Pulling:
    """What is done where a model is here."""

    update: bool = option(
        False,
        "Fetch what has changed on the hub since, and say what that was.",
        brief="Fetch what has changed on the hub.",
    )


@dataclass(frozen=True)
class Verifying:
    """What is told of a check."""

    status: bool = option(
        False,
        "Print nothing: the exit code says whether the files are whole.",
        brief="Print nothing: the exit code says it.",
    )


def group(context: typer.Context) -> None:
    """List, find, fetch, show, check, convert, merge and remove models.

    The default model lives in gptcli's data directory (GPTCLI_DATA_DIR moves it), with what is kept
    of others so that they start at once; models of the Hugging Face hub in its own cache (HF_HOME).
    """
    explain_group(context)


def pull(
    environment: Environment,
    model: ModelArgument,
    pulling: Pulling,
    output: Annotated[Output, but(json=None)],
) -> None:
    """Fetch a model, unless it is here already.

    A large file that was broken off goes on where it ended. Of a .gguf file what it says is read;
    its weights stay there, and it is needed from then on. Of one in parts
    (name-00001-of-00003.gguf) any one stands for all.
    """
    messages = output.messages(environment)
    if pulling.update:
        found, did = watch(models.update(model.name, free_memory), messages)
        messages.info(f"{found.name} {did}")
    else:
        found = watch(models.obtain(model.name, free_memory), messages)
    messages.info(f"{found.name} is at {found.path}")


def verify(
    environment: Environment,
    model: ModelArgument,
    verifying: Verifying,
    output: Annotated[Output, but(json=None)],
) -> None:
    """Check that a model's files are whole.

    Files are held to their digests where these are known, and their headers are read.
    """
    found = here(model.name)
    verdict = watch(models.verify(found), output.messages(environment))
    if not (verifying.status or output.quiet):
        rows = [(c.file, "ok" if c.problem is None else c.problem, c.how) for c in verdict.checks]
        table(environment.stdout, ("File", "Result", "How"), rows)
    elif not verifying.status:
        environment.messages().hint("--quiet: prints nothing, as --status does")
    bad = [check for check in verdict.checks if check.problem is not None]
    if bad:
        hint = f"gptcli models rm {model.name} and pull it again" if found.managed else None
        raise ModelError(str(found.path / bad[0].file), str(bad[0].problem), hint)


def remove(
    environment: Environment, named: ModelArguments, output: Annotated[Output, but(json=None)]
) -> None:
    """Remove models from this disk.

    Of a file or directory of your own goes what gptcli keeps beside it: packed weights. It stays
    itself.
    """
    messages = output.messages(environment)
    for name in named.names:
        gone = models.remove(name)
        if gone.stays is None:
            messages.info(f"removed {gone.name}, {size(gone.freed)}")
        else:
            what = "file" if gone.stays.is_file() else "directory"
            messages.info(f"removed {size(gone.freed)} kept of {gone.name}; the {what} stays")


def path(environment: Environment, model: ModelArgument) -> None:
    """Print the directory of a model that is on this disk."""
    environment.data().write(f"{here(model.name).path}\n")


SUBCOMMANDS = {
    "list": list_models,
    "search": search,
    "pull": pull,
    "show": show,
    "families": families,
    "verify": verify,
    "merge": merge,
    "convert": convert,
    "rm": remove,
    "clean": clean,
    "path": path,
}
