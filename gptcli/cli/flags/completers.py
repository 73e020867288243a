"""What the shell offers for an option. Nothing here loads a model, or torch."""

from __future__ import annotations

from pathlib import Path

from gptcli.types.compute_words import DTYPES


def complete_model(incomplete: str) -> list[str]:
    """Names of models that begin with what was typed; other tools' where a tool's name is."""
    from gptcli import models

    known = [*models.known_names(), *models.names_elsewhere(incomplete)]
    return [name for name in known if name.startswith(incomplete)]


def complete_adapter(incomplete: str) -> list[str]:
    """Directories, those with an adapter and those on the way to one."""
    head, slash, tail = incomplete.rpartition("/")
    try:
        place = Path(head + slash).expanduser()
        found = [each for each in place.iterdir() if each.name.startswith(tail) and each.is_dir()]
    except (OSError, RuntimeError, ValueError):
        return []
    shown = [each for each in found if tail.startswith(".") or not each.name.startswith(".")]
    ends = {True: "", False: "/"}
    return sorted(
        f"{head}{slash}{each.name}{ends[(each / 'adapter_config.json').is_file()]}"
        for each in shown
    )


def complete_dtypes(incomplete: str) -> list[str]:
    """Dtypes separated by commas: the last of them."""
    before, comma, last = incomplete.rpartition(",")
    return [f"{before}{comma}{name}" for name in DTYPES if name.startswith(last)]


def complete_preset(incomplete: str) -> list[str]:
    """Names of presets."""
    from gptcli.few_shot.presets import preset_names

    return [name for name in preset_names() if name.startswith(incomplete)]


def complete_template(incomplete: str) -> list[str]:
    """Names of templates of the user's file."""
    from gptcli import config
    from gptcli.errors import GptcliError

    try:
        return [name for name in config.templates() if name.startswith(incomplete)]
    except GptcliError:
        return []


def complete_session(incomplete: str) -> list[str]:
    """Names of kept conversations that begin with what was typed."""
    from gptcli.chat import sessions

    return [name for name in sessions.names() if name.startswith(incomplete)]
