"""Rows that are prompts: each is continued."""

from __future__ import annotations

from dataclasses import dataclass, replace

from gptcli.batches import own
from gptcli.batches.asked import Wanted
from gptcli.batches.dialects import openai
from gptcli.formats.openai.completion import completions, continued
from gptcli.types.completion import Request
from gptcli.types.rows import Row


@dataclass(frozen=True)
class Completions:
    """`prompt`, or a plain line; `default` has what a row does not say."""

    default: Request
    columns = ("prompt",)

    def wanted(self, row: Row) -> Wanted:
        """See Dialect."""
        with own.told_of(row):
            return self._line(row) if openai.is_line(row) else self._own(row)

    def _line(self, row: Row) -> Wanted:
        name, fields = openai.request_of(row, openai.COMPLETIONS)
        says = own.has_settings(fields)
        found = completions(fields, self.default)
        openai.done(fields)
        question = found.questions[0]
        if len(found.questions) > 1 or question.ids is not None:
            raise fields.invalid("prompt", "must be one text in a batch")
        if not question.prompt:
            raise fields.invalid("prompt", "is empty")
        return Wanted(question, name, seeded=found.seed is not None, own=says, openai=True)

    def _own(self, row: Row) -> Wanted:
        fields = own.fields_of(row, *self.columns)
        says = own.has_settings(fields)
        prompt = own.prompt_of(fields)
        default = replace(self.default, sampling=own.biased(fields, self.default.sampling))
        question, seed = continued(fields, default, own.BOUNDS)
        fields.done()
        name = own.id_of(row)
        return Wanted(replace(question, prompt=prompt), name, seeded=seed is not None, own=says)
