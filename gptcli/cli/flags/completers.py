"""What the shell offers for an option. Nothing here loads a model, or torch."""

from __future__ import annotations

from pathlib import Path

from gptcli import config


def complete_model(incomplete: str) -> list[str]:
    """Names of models that begin with what was typed."""
    from gptcli import models

    return [name for name in models.known_names() if name.startswith(incomplete)]


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


def complete_device(incomplete: str) -> list[str]:
    """Devices."""
    return [name for name in config.DEVICES if name.startswith(incomplete)]


def complete_dtype(incomplete: str) -> list[str]:
    """Dtypes, by their long names."""
    return [name for name in config.DTYPES if name.startswith(incomplete)]


def complete_dtypes(incomplete: str) -> list[str]:
    """Dtypes separated by commas: the last of them."""
    before, comma, last = incomplete.rpartition(",")
    return [f"{before}{comma}{name}" for name in complete_dtype(last)]


def complete_cpu_features(incomplete: str) -> list[str]:
    """Instructions of the CPU kernels."""
    return [name for name in config.CPU_FEATURES if name.startswith(incomplete)]


def complete_session(incomplete: str) -> list[str]:
    """Names of kept conversations that begin with what was typed."""
    from gptcli.chat import sessions

    return [name for name in sessions.names() if name.startswith(incomplete)]
