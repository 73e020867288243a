"""`gptcli config`: what is set, where it comes from, and the file to set it in."""

from __future__ import annotations

from dataclasses import fields
from typing import Annotated

import typer

from gptcli import config
from gptcli.cli.commands.templates import followed_by
from gptcli.cli.environment import Environment
from gptcli.cli.flags import settings
from gptcli.cli.flags.groups import but, only
from gptcli.cli.flags.output import Output
from gptcli.cli.help.screens import explain_group
from gptcli.config import key_of, options_of
from gptcli.errors import GptcliError, ResourceError
from gptcli.ui.terminal.editor import edit as open_editor
from gptcli.ui.views import settings as view
from gptcli.ui.views.settings import Setting

EXAMPLES = (
    ("What is set, and by whom.", "gptcli config show"),
    (
        "What is not as it comes.",
        "gptcli config show --json | jq -r '.[] | select(.source != \"default\") | .name'",
    ),
    ("Change the settings file.", "gptcli config edit"),
)


def group(context: typer.Context) -> None:
    """Show settings and where they come from, and edit the settings file.

    gptcli(1) lists all settings, their variables, and where the file is.
    """
    explain_group(context)


def show(
    environment: Environment,
    output: Annotated[
        Output,
        but(quiet=None, json="Print a JSON array: name, value and source of each; null: not set."),
    ],
) -> None:
    """Print each setting, its value, and where that comes from.

    The source is "default", the variable of the environment that says it, or the path of the
    settings file, whose templates and endpoints come last. What is not set is the model's, or the
    command's, to say. In a pipe: tab-separated, with heads.
    """
    found = _found(environment)
    if output.json:
        environment.data().json(view.as_json(found))
    else:
        view.show(found, environment.stdout)


def _found(environment: Environment) -> list[Setting]:
    """All settings in the order of the manual, then what the tables of the file say."""
    said = config.said(settings.GROUPS, environment.variables)
    found = [
        Setting(key_of(field.name), *said.get(field.name, (field.default, "default")))
        for each in settings.GROUPS
        for field, option in options_of(each)
        if option.setting
    ]
    file = str(config.user_file())
    for template in config.templates().values():
        prompt = {} if template.prompt is None else {"prompt": template.prompt}
        for key, value in (prompt | dict(template.flags)).items():
            found.append(Setting(f"template.{template.name}.{key}", value, file))
    for name, endpoint in config.endpoints().items():
        for field in fields(endpoint):
            value = getattr(endpoint, field.name)
            if value is not None:
                found.append(Setting(f"endpoint.{name}.{key_of(field.name)}", value, file))
    return found


def edit(environment: Environment, output: Annotated[Output, only("quiet")]) -> None:
    """Open the settings file in your editor, and check it afterwards.

    The editor is VISUAL, else EDITOR, of the environment. What was written stays as it is; what is
    wrong with it is an error, as for every command from then on.
    """
    path = config.user_file()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ResourceError(str(path.parent), error.strerror or str(error)) from None
    open_editor(path, environment.variables, "config edit")
    messages = output.messages(environment)
    try:
        _check()
    except GptcliError:
        if path.is_file():
            messages.info(f"{path} is as you left it; gptcli config edit opens it again")
        raise
    messages.info(f"{path}: all can be obeyed" if path.is_file() else f"{path}: is not there")


def _check() -> None:
    """Raise what is wrong with the settings file, whatever the environment says."""
    config.load(settings.GROUPS, {})
    for template in config.templates().values():
        _, problem = followed_by(template)
        if problem is not None:
            raise problem


SUBCOMMANDS = {"show": show, "edit": edit}
