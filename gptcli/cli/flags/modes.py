"""The ways in which `gptcli next` looks at the next token."""

from __future__ import annotations

from gptcli.cli.environment import Environment
from gptcli.cli.flags.source import checked
from gptcli.config import MOST, Limit, number_of, option, option_of
from gptcli.errors import InputError, UsageError
from gptcli.plain import dataclass
from gptcli.types.sampling import SamplingWish

_WALK, _COMPARE = "Walking on", "Comparing"


def _temperatures(text: str) -> tuple[float, ...]:
    found = []
    limit = option_of(SamplingWish, "temperature").limit
    for part in text.split(","):
        try:
            value = number_of(part)
        except ValueError:
            raise ValueError(f"must be numbers, not {part!r}") from None
        reason = limit.reason(value) if limit else None
        if reason:
            raise ValueError(reason)
        found.append(value)
    return tuple(found)


@dataclass(frozen=True)
class Modes:
    """Once or at every step, at one prompt or at several, beside another or alone."""

    by_drawn: bool = option(
        False,
        "Show those that the sampler draws most often, which a bias or a penalty may lift, not"
        " those that are most probable to the model.",
    )
    stages: bool = option(
        False,
        "A column for each stage of the sampler: the probability after it.",
        brief="A column for each stage of the sampler.",
    )
    temperatures: tuple[float, ...] = option(
        (),
        "The model's own probabilities at these temperatures, side by side.",
        metavar="T,T,…",
        parse=_temperatures,
        joined=True,
    )
    lines: bool = option(
        False,
        "Each line of the input is a prompt of its own.",
        brief="Each line of the input is a prompt.",
    )
    jsonl: bool = option(
        False, 'Each line of the input is a JSON object with a "prompt" of its own.'
    )
    steps: int | None = option(
        None,
        "Draw a token, append it, look again, N times or to the end of the text.",
        metavar="N",
        panel=_WALK,
        brief="Draw a token and look again, N times.",
        limit=Limit(1, MOST),
    )
    pick: bool = option(
        False,
        "Choose each token with the arrow keys and Enter; q or Esc leaves.",
        panel=_WALK,
        brief="Choose each token with the arrow keys.",
    )
    greedy: bool = option(
        False,
        "Always draw the most probable token: the same as --temperature 0.",
        panel=_WALK,
    )
    compare: tuple[str, ...] = option(
        (),
        "Set what follows this prompt beside it, with divergences in bits (in a pipe these are in"
        " --json only). Repeatable.",
        metavar="PROMPT",
        panel=_COMPARE,
        brief="Set what follows this prompt beside it.",
    )
    compare_model: str | None = option(
        None,
        "Set what another model says to the prompt beside it.",
        metavar="MODEL",
        panel=_COMPARE,
        completer="model",
    )

    @property
    def comparing(self) -> bool:
        """Whether distributions are set beside each other."""
        return bool(self.compare or self.compare_model)

    @property
    def _ways(self) -> list[str]:
        """The flags of those ways in which several prompts, or places, are looked at."""
        ways = {
            "--lines": self.lines,
            "--jsonl": self.jsonl,
            "--steps": self.steps is not None,
            "--pick": self.pick,
            "--compare": bool(self.compare),
            "--compare-model": self.compare_model is not None,
        }
        return [flag for flag, on in ways.items() if on]

    def check_many(self, flag: str) -> None:
        """Raise UsageError for another way beside a flag that is one."""
        for other in self._ways:
            raise UsageError(other, f"cannot be combined with {flag}")

    def check(self, environment: Environment, *, json: bool) -> None:
        """Raise UsageError for flags that do not go together."""
        given = self._ways
        if len(given) > 1 and given != ["--compare", "--compare-model"]:
            raise UsageError(given[1], f"cannot be combined with {given[0]}")
        columns = {"--stages": self.stages, "--temperatures": bool(self.temperatures)}
        shown = [flag for flag, on in columns.items() if on]
        if len(shown) > 1 and not json:
            raise UsageError(shown[1], f"can be combined with {shown[0]} in --json only")
        many = (self.lines or self.jsonl) and json
        if shown and given and not many:
            raise UsageError(shown[0], f"cannot be combined with {given[0]}")
        if self.pick:
            if json:
                raise UsageError("--pick", "cannot be combined with --json")
            environment.check_keys("--pick", "--steps walks on without one")
        if "" in self.compare:
            raise InputError("--compare", "is empty")
        for other in self.compare:
            checked(other, "--compare")
