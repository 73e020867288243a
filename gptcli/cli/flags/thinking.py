"""What a model thinks before it answers: whether, how much, and whether it is shown."""

from __future__ import annotations

from dataclasses import replace

from gptcli.config import MOST, Limit, option
from gptcli.plain import dataclass
from gptcli.types.chat import EFFORTS, ChatForm, variable

_PANEL = "Thinking"


@dataclass(frozen=True)
class Switches:
    """What the chat template is told, by the names that it reads itself."""

    think: bool | None = option(
        None,
        "Have the model think before it answers, or not, by its chat template's own switch, or"
        " by the word that it looks for in the system's text. Where the template has neither, this"
        " is refused.",
        "--think/--no-think",
        panel=_PANEL,
    )
    effort: str | None = option(
        None,
        "How hard the model thinks, where its chat template asks for that: low, medium or high.",
        metavar="WORD",
        panel=_PANEL,
        choices=EFFORTS,
    )
    template_set: tuple[tuple[str, str], ...] = option(
        (),
        "Give a variable that the chat template reads this value, JSON or else a text. Repeatable.",
        metavar="KEY=VALUE",
        panel=_PANEL,
        parse=variable,
    )

    def told(self, form: ChatForm) -> ChatForm:
        """The form, told this as well."""
        return replace(form, think=self.think, effort=self.effort, variables=self.template_set)


@dataclass(frozen=True)
class Thinking(Switches):
    """The same, and what becomes of thoughts that come one by one."""

    think_budget: int | None = option(
        None,
        "End thoughts after N tokens, and have the answer begin. Default: as long as they take.",
        metavar="N",
        panel=_PANEL,
        limit=Limit(0, MOST),
    )
    show_thinking: bool | None = option(
        None,
        "Show thoughts on stderr, dim on a terminal; or fold them to one line on a terminal, and"
        " leave them out elsewhere. Default: shown where answers go to a terminal.",
        "--show-thinking/--hide-thinking",
        panel=_PANEL,
    )
