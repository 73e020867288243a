"""The examples of a command line, and how they are to be written: presets, files, flags."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gptcli.cli.environment import Environment
from gptcli.cli.flags.answers import Labels
from gptcli.cli.flags.examples import Examples, ExampleWriting
from gptcli.cli.flags.pairs import pairs_of
from gptcli.cli.flags.source import checked
from gptcli.cli.flags.thinking import Switches
from gptcli.cli.input.example_files import ExampleFile, read_examples, read_preset
from gptcli.cli.input.prompt import read_file
from gptcli.errors import InputError, UsageError
from gptcli.text.example_template import ExampleTemplate, unescape
from gptcli.types.chat import ChatForm
from gptcli.types.few_shot import (
    DEFAULT_INPUT_FIELD,
    DEFAULT_OUTPUT_FIELD,
    DEFAULT_SEPARATOR,
    DEFAULT_TEMPLATE,
    Example,
    FewShotForm,
    labels_of,
)


@dataclass(frozen=True)
class Given(ExampleFile):
    """Everything that presets, files and flags give, with the columns to look in."""

    input_field: str = DEFAULT_INPUT_FIELD
    output_field: str = DEFAULT_OUTPUT_FIELD


def gather(environment: Environment, wanted: Examples) -> Given:
    """All examples in this order: the preset's, those of the files, those of the command line.

    Where several say how to write them, the last one holds. Raises UsageError for an unknown
    preset or kind of file, InputError for a file that is not what it should be.
    """
    given_in = DEFAULT_INPUT_FIELD if wanted.input_field is None else wanted.input_field
    due_in = DEFAULT_OUTPUT_FIELD if wanted.output_field is None else wanted.output_field
    if given_in == due_in:
        raise UsageError("--output-field", f"{due_in!r} is the column of inputs as well")
    sources = [read_preset(wanted.preset)] if wanted.preset is not None else []
    sources += [read_examples(environment, file, given_in, due_in) for file in wanted.examples]
    typed = tuple(
        Example(checked(one, "--example"), checked(other, "--example"))
        for one, other in pairs_of(wanted.example)
    )
    sources.append(ExampleFile(typed))
    found = Given((), input_field=given_in, output_field=due_in)
    for source in sources:
        found = Given(
            examples=found.examples + source.examples,
            instruction=_later(source.instruction, found.instruction),
            template=_later(source.template, found.template),
            separator=_later(source.separator, found.separator),
            labels=source.labels or found.labels,
            input_field=given_in,
            output_field=due_in,
        )
    return found


def _later(new: str | None, old: str | None) -> str | None:
    return old if new is None else new


def form_of(
    environment: Environment, given: Given, writing: ExampleWriting, switches: Switches
) -> FewShotForm:
    """The form that flags ask for, else what the files say, else the default.

    Raises UsageError for a template that is none, and for one beside --as-chat; for switches
    without that.
    """
    template, separator, instruction = writing.template, writing.separator, writing.instruction
    if writing.as_chat:
        for flag, value in (("--template", template), ("--separator", separator)):
            if value is not None:
                raise UsageError(flag, "cannot be combined with --as-chat, whose form is a chat's")
    chat = switches.told(ChatForm())
    if chat.told and not writing.as_chat:
        raise UsageError(chat.told[0], "needs --as-chat, whose template is told so")
    text = _or(_template(environment, template), given.template, DEFAULT_TEMPLATE)
    between = None if separator is None else unescape(checked(separator, "--separator"))
    between = _or(between, given.separator, DEFAULT_SEPARATOR)
    # Checked before a model is loaded.
    ExampleTemplate(text, between)
    scene = given.instruction if instruction is None else checked(instruction, "--instruction")
    return FewShotForm(
        template=text,
        instruction=scene or None,
        separator=between,
        chat=chat if writing.as_chat else None,
    )


def _or(first: str | None, second: str | None, default: str) -> str:
    found = first if first is not None else second
    return default if found is None else found


def _template(environment: Environment, given: str | None) -> str | None:
    r"""A template of the command line: a text with \n and \t, or the name of a file with one."""
    if given is None:
        return None
    # A template has braces; a name that has some is given as ./{name}.
    if "{" not in given or (given.startswith("./") and Path(given).is_file()):
        if not Path(given).is_file():
            reason = f"{given!r} is no file, and has no {{input}} and {{output}} as a template"
            raise UsageError("--template", reason)
        return read_file(environment, Path(given))
    return unescape(checked(given, "--template"))


def labels_among(given: Given, wanted: Labels) -> tuple[str, ...]:
    """The labels to compare, none for free answers: flags, else what the files say or hold.

    Raises UsageError for labels of the flags that cannot be, InputError for those of examples.
    """
    flags, classify = wanted.label, wanted.classify
    if flags and classify:
        raise UsageError("--classify", "takes its labels from the examples, so no --label")
    found = flags or given.labels
    subject, error = ("--label", UsageError) if flags else ("labels", InputError)
    if classify:
        found, subject = labels_of(given.examples), "--classify"
    if not found:
        if classify:
            raise UsageError("--classify", "needs examples to take the labels from")
        return ()
    for label in found:
        if not checked(label, subject).strip():
            raise error(subject, "must not be empty")
        if [other.strip() for other in found].count(label.strip()) > 1:
            raise error(subject, f"{label!r} is given twice")
    if len(found) < 2:
        raise error(subject, f"at least two labels are needed, not only {found[0]!r}")
    return found
