"""`gptcli models`: what is on this disk, and bringing, checking, merging and removing it."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from gptcli import models
from gptcli.cli.boundary import guarded
from gptcli.cli.commands.models_merge import merge
from gptcli.cli.commands.models_show import families, show
from gptcli.cli.flags import common as options
from gptcli.cli.flags.completers import complete_model
from gptcli.cli.input.model_argument import Name, here
from gptcli.errors import ModelError
from gptcli.ui.data.writer import DataWriter
from gptcli.ui.terminal.messages import Messages
from gptcli.ui.terminal.progress import watch
from gptcli.ui.terminal.tables import table
from gptcli.units import size

EXAMPLES = (
    ("Which names there are, and what is on this disk.", "gptcli models list"),
    ("Fetch a model before it is needed.", "gptcli models pull smollm2"),
    ("What a model is, and what memory it takes.", "gptcli models show smollm2"),
    ("Which kinds of models run, and how far they were proved.", "gptcli models families"),
    ("Whether its files are whole.", "gptcli models verify smollm2"),
    ("Where its files are.", 'ls "$(gptcli models path smollm2)"'),
    (
        "Make an adapter part of a model.",
        "gptcli models merge gpt2 --adapter ./mine -o ./gpt2-mine",
    ),
    ("Free the space.", "gptcli models rm smollm2"),
)

app = typer.Typer(name="models")


@app.callback(invoke_without_command=True)
def group(context: typer.Context) -> None:
    """List, fetch, describe, check, merge and remove models.

    The default model and converted .gguf files live in gptcli's data directory (GPTCLI_DATA_DIR
    moves it); models of the Hugging Face hub in its own cache (HF_HOME).
    """
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@app.command("list")
@guarded
def list_models(json: options.Json = False, no_color: options.NoColor = False) -> None:
    """List short names and the models on this disk.

    In a pipe: name, size in bytes (empty where it is not here), source, path; tab-separated.
    """
    entries = models.listing()
    if json:
        found = [
            {
                "name": entry.name,
                "installed": entry.installed,
                "bytes": entry.size,
                "path": None if entry.path is None else str(entry.path),
                "source": entry.source,
            }
            for entry in entries
        ]
        DataWriter(sys.stdout).json(found)
        return
    if sys.stdout.isatty():
        rows = [
            (e.name, size(e.size) if e.installed and e.size else "not here", e.source)
            for e in entries
        ]
        table(sys.stdout, ("Model", "On this disk", "Source"), rows)
        return
    exact = [
        (e.name, str(e.size or "") if e.installed else "", e.source, str(e.path or ""))
        for e in entries
    ]
    table(sys.stdout, (), exact)


@app.command("pull")
@guarded
def pull(name: Name, quiet: options.Quiet = False, no_color: options.NoColor = False) -> None:
    """Fetch a model, unless it is here already.

    What is not safetensors is converted once. Of a .gguf file in parts (name-00001-of-00003.gguf)
    any one stands for all.
    """
    messages = Messages(sys.stderr, quiet=quiet)
    model = watch(models.obtain(name), messages)
    messages.info(f"{model.name} is at {model.path}")


app.command("show")(guarded(show))
app.command("families")(guarded(families))


@app.command("verify")
@guarded
def verify(name: Name, quiet: options.Quiet = False, no_color: options.NoColor = False) -> None:
    """Check that a model's files are whole.

    Files are held to their digests where these are known, and their headers are read.
    """
    model = here(name)
    verdict = watch(models.verify(model), Messages(sys.stderr, quiet=quiet))
    if not quiet:
        rows = [(c.file, "ok" if c.problem is None else c.problem, c.how) for c in verdict.checks]
        table(sys.stdout, ("File", "Result", "How"), rows)
    bad = [check for check in verdict.checks if check.problem is not None]
    if bad:
        hint = f"gptcli models rm {name} and pull it again" if model.managed else None
        raise ModelError(str(model.path / bad[0].file), str(bad[0].problem), hint)


app.command("merge")(guarded(merge))


@app.command("rm")
@guarded
def remove(
    names: Annotated[
        list[str],
        typer.Argument(metavar="MODEL", autocompletion=complete_model, help="Names, as for pull."),
    ],
    quiet: options.Quiet = False,
    no_color: options.NoColor = False,
) -> None:
    """Remove models from this disk.

    A directory of your own is never touched.
    """
    messages = Messages(sys.stderr, quiet=quiet)
    for name in names:
        gone = models.remove(name)
        messages.info(f"removed {gone.name}, {size(gone.freed)}")


@app.command("path")
@guarded
def path(name: Name) -> None:
    """Print the directory of a model that is on this disk."""
    DataWriter(sys.stdout).write(f"{here(name).path}\n")
