"""What the user's file and the environment say of settings.

The user file is `config.toml` in the user's configuration directory (on Linux
`~/.config/gptcli/config.toml`), flat, with the names of the long flags:

    model = "gpt2"
    temperature = 0.7
    max-new-tokens = 100

Only endpoints and templates are tables in it (see `config.endpoints`, `config.templates`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from gptcli.config.check import check
from gptcli.config.endpoints import TABLE as ENDPOINTS
from gptcli.config.endpoints import Endpoint, endpoints_of
from gptcli.config.option import key_of, option_of, options_of, variable_of
from gptcli.config.places import user_file
from gptcli.config.templates import TABLE as TEMPLATES
from gptcli.config.templates import Template, templates_of
from gptcli.errors import InputError, UsageError

_TABLES: Mapping[str, Callable[[object, Path], object]] = {
    ENDPOINTS: endpoints_of,
    TEMPLATES: templates_of,
}
#: Each setting that something was said of, by its field's name.
Stored = Mapping[str, object]


def load(
    groups: Sequence[type], env: Mapping[str, str] = os.environ, path: Path | None = None
) -> Stored:
    """What the user file says of the groups' settings, overlaid by `GPTCLI_<NAME>` variables.

    Raises InputError for a file that cannot be read as flat TOML, UsageError for a value or a
    name in it, or in the environment, that cannot be.
    """
    return {name: value for name, (value, _) in said(groups, env, path).items()}


def said(
    groups: Sequence[type], env: Mapping[str, str] = os.environ, path: Path | None = None
) -> dict[str, tuple[object, str]]:
    """As `load`, each value with who says it: a variable, or the path of the user's file."""
    path = path or user_file()
    homes = {
        field.name: group for group in groups for field, said in options_of(group) if said.setting
    }
    found: dict[str, tuple[object, str]] = {}
    for key, value in _read(path).items():
        if key in _TABLES:
            _TABLES[key](value, path)
            continue
        name = key.replace("-", "_")
        if name not in homes:
            known = ", ".join(map(key_of, homes))
            raise UsageError(str(path), f"{key!r} is not a setting", f"known: {known}")
        found[name] = _checked(f"{path}: {key}", homes[name], name, value), str(path)
    given = {name: text for name in homes if (text := env.get(variable_of(name)))}
    for name, text in given.items():
        newer = option_of(homes[name], name).older_for
        if newer not in given:
            found.pop(newer, None)
        variable = variable_of(name)
        found[name] = _checked(variable, homes[name], name, text), variable
    return found


def endpoints(path: Path | None = None) -> dict[str, Endpoint]:
    """The endpoints of the user's file, by name. Raises as `load` does."""
    path = path or user_file()
    return endpoints_of(_read(path).get(ENDPOINTS, {}), path)


def templates(path: Path | None = None) -> dict[str, Template]:
    """The templates of the user's file, by name. Raises as `load` does."""
    path = path or user_file()
    return templates_of(_read(path).get(TEMPLATES, {}), path)


def _checked(subject: str, group: type, name: str, value: object) -> object:
    try:
        return check(group, name, value)
    except ValueError as error:
        raise UsageError(subject, str(error)) from None


def _read(path: Path) -> dict[str, object]:
    try:
        if not path.exists():
            return {}
        if not path.is_file():
            raise InputError(str(path), "is not a file")
        import tomllib

        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(str(path), f"cannot be read as settings: {error}") from None
