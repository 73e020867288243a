"""`gptcli templates`: the prompts and flags that the user's file has under a name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated

import typer

from gptcli import config
from gptcli.cli.commands.chat import chat
from gptcli.cli.commands.complete import complete
from gptcli.cli.environment import Environment
from gptcli.cli.flags.groups import but
from gptcli.cli.flags.output import Output
from gptcli.cli.flags.templates import flags_of, shown_by
from gptcli.cli.help.screens import explain_group
from gptcli.config import Template, option
from gptcli.errors import UsageError
from gptcli.ui.views import templates as view

EXAMPLES = (
    ("Which templates there are, and for which commands.", "gptcli templates list"),
    ("What one says.", "gptcli templates show commit"),
    ("One in use: what a pipe brings goes into its prompt.", "git diff | gptcli chat -t commit"),
)
#: What can follow a template.
_COMMANDS: Mapping[str, Callable[..., None]] = {"chat": chat, "complete": complete}


def in_the_file() -> list[tuple[str, str]]:
    """What the table of a template may say: for the man page."""
    return [
        (
            "prompt",
            "The text around the one that is given, in whose place it has {input}; other braces are"
            " braces. Without {input} it is the whole prompt, and none can be given. In a"
            " conversation every line that is typed goes into it.",
        ),
        ("system", "The system prompt, as of chat --system."),
        (
            "any other flag",
            'By its long name, as temperature = 0.2, stop = ["\\n"], json = true. A file\'s name'
            " is relative to the settings file. A command that has no such flag refuses it.",
        ),
    ]


SECTIONS = (("IN THE FILE", in_the_file),)


@dataclass(frozen=True)
class Named:
    """A template."""

    name: str = option(
        ...,
        "As in [template.NAME] of the settings file.",
        metavar="NAME",
        argument=True,
        completer="template",
    )


def group(context: typer.Context) -> None:
    r"""List and show templates: prompts and flags under a name.

    A table of the settings file (config.toml, see gptcli(1)) is one, here of the name commit:

        [template.commit]
        system = "You write commit messages."
        prompt = "A commit message for this diff:\n{input}"
        temperature = 0.2

    chat -t commit and complete -t commit do as if its flags were given. A flag of the command line
    outweighs the template, which is named there and so outweighs the environment, a session of
    chat, and the rest of the settings file.
    """
    explain_group(context)


def list_templates(
    environment: Environment,
    output: Annotated[
        Output, but(quiet=None, json="Print a JSON array: an object for each template.")
    ],
) -> None:
    """List the templates: the commands that can follow them, prompts, flags.

    Those that no command can follow are listed with what is wrong. In a pipe: tab-separated, with
    heads.
    """
    found = [_listed(each) for each in config.templates().values()]
    if output.json:
        environment.data().json([view.as_json(each) for each in found])
    elif found or not environment.on_terminal:
        view.show_list(found, environment.stdout)
    else:
        file = config.user_file()
        output.messages(environment).info(f"there are none yet; [template.NAME] in {file} is one")


def show(
    environment: Environment,
    named: Named,
    output: Annotated[
        Output, but(quiet=None, json="Print one JSON object: name, prompt, flags, commands.")
    ],
) -> None:
    """Print what a template says."""
    file = config.user_file()
    found = _listed(config.found_in(config.templates(), named.name, "NAME", file))
    if output.json:
        environment.data().json(view.as_json(found))
    else:
        view.show(found, environment.stdout)


def followed_by(template: Template) -> tuple[tuple[str, ...], UsageError | None]:
    """The commands that can follow a template; where none can, why."""
    commands, problem = [], None
    for name, command in _COMMANDS.items():
        try:
            flags_of(template, shown_by(command))
        except UsageError as error:
            problem = problem or error
        else:
            commands.append(name)
    return tuple(commands), None if commands else problem


def _listed(template: Template) -> view.Listed:
    commands, problem = followed_by(template)
    return view.Listed(template, commands, None if problem is None else str(problem))


SUBCOMMANDS = {"list": list_templates, "show": show}
