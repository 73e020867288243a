"""What a text has to be, from flags and the files that they name."""

from __future__ import annotations

import json
from pathlib import Path

from gptcli.cli.environment import Environment
from gptcli.cli.flags.constraints import Constraints
from gptcli.cli.flags.source import checked
from gptcli.cli.input.prompt import read_file
from gptcli.errors import InputError, UsageError
from gptcli.types.constraints import Constraint, ConstraintUse, Kind
from gptcli.units import counted

#: How a schema begins that is given as itself.
_JSON = ("{", "[", "true", "false")


def constraint_of(environment: Environment, given: Constraints) -> Constraint | None:
    """What the flags say; None where they want nothing.

    Raises UsageError for two of them at once, InputError for what cannot be read.
    """
    said: dict[Kind, bool] = {
        "json-schema": given.json_schema is not None,
        "json-object": given.json_object,
        "regex": given.regex is not None,
        "grammar": given.grammar is not None,
        "one-of": bool(given.one_of),
    }
    kinds = [kind for kind, on in said.items() if on]
    if len(kinds) > 1:
        raise UsageError(f"--{kinds[1]}", f"cannot be combined with --{kinds[0]}")
    if not kinds:
        if given.repair:
            raise UsageError("--repair", f"needs one of {', '.join(f'--{kind}' for kind in said)}")
        return None
    if not all(checked(text, "--one-of") for text in given.one_of):
        raise UsageError("--one-of", "must not be empty")
    if len(set(given.one_of)) < len(given.one_of):
        raise UsageError("--one-of", "has a text twice")
    text = _text(environment, given)
    return Constraint(kinds[0], text, choices=given.one_of, repair=given.repair)


def check_whole(use: ConstraintUse | None, what: str = "sample") -> None:
    """Raise InputError where a text is not what it has to be, but only begins so.

    what: what each text is called.
    """
    if use is None or not use.unfinished:
        return
    first, *others = use.unfinished
    hint = "--repair closes it" if first.stopped else "-n allows more, --repair closes it"
    more = f"; and {counted(len(others), f'more {what}')}" if others else ""
    where = f"{what} {first.index + 1}"
    raise InputError(where, first.in_words + more, hint)


def _text(environment: Environment, given: Constraints) -> str:
    if given.regex is not None:
        return checked(given.regex, "--regex")
    if given.grammar is not None:
        return read_file(environment, given.grammar)
    if given.json_schema is None:
        return ""
    told = checked(given.json_schema, "--json-schema")
    itself = told.lstrip().startswith(_JSON) and not Path(told).is_file()
    text, subject = told, "--json-schema"
    if not itself:
        text, subject = read_file(environment, Path(told)), told
    try:
        json.loads(text)
    except RecursionError:
        raise InputError(subject, "is nested too deeply") from None
    except ValueError as error:
        raise InputError(subject, f"is not valid JSON: {error}") from None
    return text
