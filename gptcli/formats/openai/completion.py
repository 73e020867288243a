"""A body of /v1/completions: prompts, as texts or ids, and how to go on with each."""

from __future__ import annotations

from dataclasses import dataclass, replace

from gptcli.config import MOST, Limit
from gptcli.formats.openai.constraint import constraint
from gptcli.formats.openai.drawing import BOUNDS, Bounds, Drawing, drawing, new_tokens
from gptcli.formats.openai.fields import Fields
from gptcli.formats.openai.prompts import prompts
from gptcli.types.completion import Request

#: As OpenAI's has it.
DEFAULT = Request("", max_new_tokens=16)


@dataclass(frozen=True)
class Completions:
    """A question for each prompt. seed: None where none is said, and the questions have 0."""

    questions: tuple[Request, ...]
    seed: int | None


def completions(fields: Fields, default: Request = DEFAULT) -> Completions:
    """What a body asks; `default` has what it does not say. Raises FieldError.

    Fields of how answers are sent are left to whoever sends them, as is `done`.
    """
    given = prompts(fields, "prompt")
    asked, seed = continued(fields, default)
    samples = asked.samples
    if (fields.whole("best_of", Limit(1, MOST)) or samples) != samples:
        raise fields.invalid("best_of", "must be n: all texts are told")
    asked = replace(asked, special=fields.flag("special", default.special))
    if asked.suffix is not None and any(not isinstance(each, str) for each in given):
        raise fields.invalid("suffix", "needs a prompt that is a text")
    questions = tuple(
        replace(asked, prompt=each) if isinstance(each, str) else replace(asked, ids=each)
        for each in given
    )
    return Completions(questions, seed)


def continued(
    fields: Fields, default: Request, bounds: Bounds = BOUNDS
) -> tuple[Request, int | None]:
    """How a prompt is continued, and by which seed, None where none is said. Raises FieldError."""
    found = drawing(fields, Drawing(default.sampling, None, default.samples, default.stop), bounds)
    logprobs = fields.whole("logprobs", Limit(0, bounds.top))
    suffix = fields.text("suffix")
    asked = replace(
        default,
        sampling=found.sampling,
        max_new_tokens=new_tokens(fields, "max_tokens", default=default.max_new_tokens),
        stop=found.stop,
        seed=found.seed or 0,
        samples=found.samples,
        # An empty one says nothing to OpenAI's clients either.
        suffix=suffix or default.suffix,
        logprobs=default.logprobs if logprobs is None else logprobs,
        constraint=constraint(fields, default.constraint),
    )
    return asked, found.seed
