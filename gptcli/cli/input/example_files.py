"""Files of examples: JSONL, CSV, TSV, or TOML with an instruction and a template beside them."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gptcli.cli.environment import Environment
from gptcli.cli.input.kinds import known_kind
from gptcli.cli.input.prompt import read_file
from gptcli.cli.input.rows import read_rows
from gptcli.errors import InputError, UsageError
from gptcli.few_shot.presets import preset_text
from gptcli.text.example_template import ExampleTemplate
from gptcli.types.few_shot import Example
from gptcli.types.rows import Row

_TEXTS = ("instruction", "template", "separator")


@dataclass(frozen=True)
class ExampleFile:
    """Examples, and what a TOML file says of how to use them; None where it does not."""

    examples: tuple[Example, ...]
    instruction: str | None = None
    template: str | None = None
    separator: str | None = None
    labels: tuple[str, ...] = ()


def read_examples(
    environment: Environment, path: Path, input_field: str, output_field: str
) -> ExampleFile:
    """The examples of a file, by the ending of its name.

    Raises UsageError for another ending, InputError for a file that is not what it should be.
    """
    if path.suffix.lower() == ".toml":
        text = read_file(environment, path, verbatim=True)
        return from_toml(text, str(path), input_field, output_field)
    rows = read_rows(environment, path, known_kind(path, "--examples", (".toml",)))
    return ExampleFile(tuple(_examples(rows, input_field, output_field)))


def read_preset(name: str) -> ExampleFile:
    """The examples of a preset. Raises UsageError for a name that there is not."""
    return from_toml(preset_text(name), f"preset {name}", "input", "output")


def from_toml(text: str, subject: str, input_field: str, output_field: str) -> ExampleFile:
    """The examples in a TOML text: `examples`, `instruction`, `template`, `separator`, `labels`."""
    try:
        found = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(subject, f"is not TOML: {error}") from None
    for key, value in found.items():
        if key not in (*_TEXTS, "labels", "examples"):
            known = ", ".join((*_TEXTS, "labels", "examples"))
            raise InputError(subject, f"{key!r} is no part of it: {known}")
        if key in _TEXTS and not isinstance(value, str):
            raise InputError(subject, f"{key!r} must be a text")
    _check_template(found, subject)
    rows = _tables(found.get("examples", []), subject)
    labels = found.get("labels", [])
    if not isinstance(labels, list) or not all(isinstance(each, str) for each in labels):
        raise InputError(subject, "'labels' must be a list of texts")
    return ExampleFile(
        tuple(_examples(rows, input_field, output_field)),
        **{key: found.get(key) for key in _TEXTS},
        labels=tuple(labels),
    )


def _check_template(found: dict[str, Any], subject: str) -> None:
    """Raise InputError, which names the file, for a template that is none."""
    if "template" in found:
        try:
            ExampleTemplate(found["template"], "", f"{subject}: template")
        except UsageError as error:
            raise InputError(error.subject, error.reason, error.hint) from None


def _tables(value: Any, subject: str) -> Iterator[Row]:
    if not isinstance(value, list):
        raise InputError(subject, "'examples' must be a list of tables")
    for number, each in enumerate(value, 1):
        if not isinstance(each, dict):
            raise InputError(f"{subject}: example {number}", "is no table of input and output")
        yield Row(f"{subject}: example {number}", number, each)


def _examples(rows: Iterator[Row], input_field: str, output_field: str) -> Iterator[Example]:
    for row in rows:
        given = row.text(input_field, "--input-field")
        yield Example(given, row.text(output_field, "--output-field"))
