"""The text that is given, within the prompt of a template."""

from __future__ import annotations

from gptcli.cli.environment import Environment
from gptcli.cli.flags.source import Spoken
from gptcli.cli.flags.templates import Templated
from gptcli.cli.input.prompt import looks_at_stdin, read_prompt
from gptcli.errors import UsageError
from gptcli.ui.terminal.messages import Messages


def read_templated(
    environment: Environment,
    source: Spoken,
    templated: Templated,
    messages: Messages,
    *,
    what: str = "prompt",
    example: str = 'gptcli complete "Once upon a time"',
) -> str:
    """As `read_prompt`, within the prompt of the template that is named, if any.

    One without a place for a text is the whole prompt: raises UsageError where a text is given.
    """
    template = templated.from_template
    if template is None or template.takes_input:
        text = read_prompt(environment, source, messages, what=what, example=example)
        return templated.around(text)
    if source.named or looks_at_stdin(environment, source):
        text = read_prompt(environment, source, messages, what=what, empty=True)
        if text:
            reason = f"has no {{input}}, in which the {what} that is given could stand"
            raise UsageError(f"{template.subject}: prompt", reason)
    return templated.around("")
