"""Where a model directory keeps its chat templates.

As transformers writes them: `chat_template` in tokenizer_config.json, a text or a list of objects
with `name` and `template`; `chat_template.jinja`, and `additional_chat_templates/NAME.jinja`,
which outweigh the former; or, in older directories, `chat_template.json`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gptcli.errors import InputError, ModelError, UsageError
from gptcli.formats import files
from gptcli.formats import json as jsonfile
from gptcli.plain import dataclass

DEFAULT = "default"
#: Larger than any template by far.
_MOST = 1 << 20
_FLAG = "--chat-template"


@dataclass(frozen=True)
class TemplateSource:
    """A template's text; `description` in a few words, `subject` for errors."""

    text: str
    description: str
    subject: str


@dataclass(frozen=True)
class TemplateText:
    """A template of a model, and the file that it stands in."""

    text: str
    file: str


def find(own: Mapping[str, TemplateText], wanted: str | None) -> TemplateSource | None:
    """The template that is wanted: a name among the model's own, else a file's path.

    None asks for the model's default one, and gets None where it has none. Raises UsageError for
    a name or path of nothing, ModelError for broken files of the model.
    """
    if wanted is None:
        # A model with a single template means that one, whatever it is called.
        wanted = next(iter(own)) if len(own) == 1 else DEFAULT
        if not own:
            return None
    if wanted in own:
        name = "" if wanted == DEFAULT else f" {wanted!r}"
        return TemplateSource(
            own[wanted].text, f"the model's chat template{name}", own[wanted].file
        )
    path = Path(wanted).expanduser()
    if path.is_file():
        return TemplateSource(_user_text(path), f"the chat template {wanted}", wanted)
    names = f"the model's own are: {', '.join(own)}" if own else "the model has none of its own"
    raise UsageError(_FLAG, f"there is no template or file {wanted!r}", names)


def named(directory: Path, settings: Mapping[str, Any]) -> dict[str, TemplateText]:
    """All templates of a directory, by name; settings: what tokenizer_config.json says.

    Raises ModelError for broken files.
    """
    old, found = directory / "chat_template.json", dict[str, TemplateText]()
    older = jsonfile.read(old) if old.exists() else {}
    for path, fields in ((old, older), (directory / "tokenizer_config.json", settings)):
        entries = _entries(fields.get("chat_template"), path)
        found |= {name: TemplateText(text, str(path)) for name, text in entries}
    more = directory / "additional_chat_templates"
    paths = sorted(more.glob("*.jinja")) if more.is_dir() else []
    for name, path in [(path.stem, path) for path in paths] + [
        (DEFAULT, directory / "chat_template.jinja")
    ]:
        if path.exists():
            found[name] = TemplateText(_model_text(path), str(path))
    return found


def _entries(value: Any, path: Path) -> list[tuple[str, str]]:
    if value is None:
        return []
    if isinstance(value, str):
        return [(DEFAULT, value)]
    if isinstance(value, list) and all(isinstance(each, dict) for each in value):
        pairs = [(each.get("name"), each.get("template")) for each in value]
        if all(isinstance(name, str) and isinstance(text, str) for name, text in pairs):
            return pairs
    raise ModelError(str(path), "'chat_template' is neither a text nor a list of named ones")


def _model_text(path: Path) -> str:
    files.refuse_special(path)
    try:
        return _text(path)
    except (OSError, ValueError) as error:
        raise ModelError(str(path), f"cannot be read: {error}") from None


def _user_text(path: Path) -> str:
    try:
        return _text(path)
    except (OSError, ValueError) as error:
        raise InputError(str(path), f"cannot be read: {error}") from None


def _text(path: Path) -> str:
    with path.open("rb") as file:
        data = file.read(_MOST + 1)
    if len(data) > _MOST:
        raise ValueError(f"it is larger than {_MOST >> 20} MiB")
    return data.decode()
