"""Rows that are prompts: each is continued."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from gptcli.batches.asked import Id, Wanted
from gptcli.batches.dialects import openai
from gptcli.batches.values import Values, id_of, prompt_of
from gptcli.types.completion import Request
from gptcli.types.rows import Row

_TEXTS = frozenset(("prompt",))


@dataclass(frozen=True)
class Completions:
    """`prompt`, or a plain line; `default` has what a row does not say."""

    default: Request

    def wanted(self, row: Row) -> Wanted:
        """See Dialect."""
        if openai.is_line(row):
            name, body = openai.request_of(row, openai.COMPLETIONS, _TEXTS)
            return self._wanted(row, name, body, openai=True)
        return self._wanted(row, id_of(row), row.values, openai=False)

    def _wanted(self, row: Row, name: Id, said: Mapping[str, Any], *, openai: bool) -> Wanted:
        values = Values(row, said)
        prompt = prompt_of(replace(row, values=dict(said)))
        default = self.default
        question = replace(
            default,
            prompt=prompt,
            sampling=values.sampling(default.sampling),
            max_new_tokens=values.max_tokens(default.max_new_tokens),
            stop=values.stop(default.stop),
            samples=values.samples(default.samples),
            logprobs=values.logprobs(default.logprobs),
            seed=values.seed or 0,
        )
        return Wanted(question, name, seeded=values.has("seed"), own=values.any, openai=openai)
