"""Examples that come with gptcli: tiny TOML files in the package."""

from __future__ import annotations

from importlib import resources

from gptcli.errors import UsageError

_FOLDER = resources.files("gptcli.few_shot") / "preset_files"


def preset_names() -> tuple[str, ...]:
    """The names that `--preset` takes."""
    names = (entry.name for entry in _FOLDER.iterdir())
    return tuple(sorted(name.removesuffix(".toml") for name in names if name.endswith(".toml")))


def preset_text(name: str) -> str:
    """The TOML of a preset. Raises UsageError for a name that there is not."""
    if name not in preset_names():
        known = ", ".join(preset_names())
        raise UsageError("--preset", f"there is no {name!r}, but {known}")
    return (_FOLDER / f"{name}.toml").read_text(encoding="utf-8")
