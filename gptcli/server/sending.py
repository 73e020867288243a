"""Fields that say how an answer is sent, whatever it answers."""

from __future__ import annotations

from dataclasses import dataclass

from gptcli.formats.openai.fields import Fields
from gptcli.types.sampling import SamplingWish, seed_of


@dataclass(frozen=True)
class Sending:
    """How, and by which seed the first answer is drawn; each further one has the next."""

    seed: int
    stream: bool
    include_usage: bool


def sending(fields: Fields, seed: int | None) -> Sending:
    """Take them. seed: the one that was said, else it gets one of its own. Raises FieldError."""
    options = fields.object("stream_options")
    include_usage = options.flag("include_usage")
    options.flag("include_obfuscation")
    options.done()
    return Sending(seed_of(SamplingWish(seed=seed)), fields.flag("stream"), include_usage)
