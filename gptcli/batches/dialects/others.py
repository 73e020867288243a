"""Rows that are scored, looked behind, chosen for, or answered in the manner of examples."""

from __future__ import annotations

from dataclasses import dataclass, replace

from gptcli.batches.asked import Wanted
from gptcli.batches.values import SETTINGS, Values, id_of, prompt_of, texts_of
from gptcli.errors import InputError
from gptcli.types.choose import ChooseRequest
from gptcli.types.few_shot import FewShotQueries, FewShotRequest, Query
from gptcli.types.next_tokens import NextTokensRequest
from gptcli.types.rows import Row, given_twice
from gptcli.types.score import ScoreRequest


@dataclass(frozen=True)
class Scores:
    """`text` and perhaps `context`, or a plain line; nothing is drawn, so nothing can be set."""

    default: ScoreRequest

    def wanted(self, row: Row) -> Wanted:
        """See Dialect."""
        question = replace(
            self.default,
            text=row.fixed("" if "" in row.values else "text"),
            context=row.fixed("context", self.default.context),
            subject=row.subject,
        )
        return Wanted(question, id_of(row))


@dataclass(frozen=True)
class NextTokens:
    """`prompt`, or a plain line, and how what follows would be drawn."""

    default: NextTokensRequest

    def wanted(self, row: Row) -> Wanted:
        """See Dialect."""
        prompt = prompt_of(row)
        values = Values(row)
        sampling = values.sampling(self.default.sampling)
        question = replace(self.default, prompt=prompt, sampling=sampling, subject=row.subject)
        return Wanted(question, id_of(row), own=values.any)


@dataclass(frozen=True)
class Chosen:
    """`prompt`, or a plain line, and perhaps `choices` of its own."""

    default: ChooseRequest

    def wanted(self, row: Row) -> Wanted:
        """See Dialect."""
        prompt = prompt_of(row)
        choices = self.default.choices
        if row.values.get("choices") is not None:
            choices = texts_of(row, "choices", row.values["choices"])
        if len(choices) < 2:
            raise InputError(row.subject, f"at least two choices are needed, not {len(choices)}")
        twice = given_twice(choices)
        if "" in choices or twice is not None:
            why = "one is empty" if "" in choices else f"{twice!r:.60} is given twice"
            raise InputError(row.subject, f'"choices": {why}')
        question = replace(self.default, prompt=prompt, choices=choices)
        return Wanted(question, id_of(row), own="choices" in row.values)


@dataclass(frozen=True)
class Queries:
    """The input under `field`, or a plain line; what is drawn for it can be set."""

    default: FewShotRequest
    field: str

    def wanted(self, row: Row) -> Wanted:
        """See Dialect."""
        query = query_of(row, self.field)
        values = Values(row, {n: v for n, v in row.values.items() if n != self.field})
        values.refuse(frozenset(("n", "logprobs")), "is not done in the manner of examples")
        default = self.default
        if default.labels:
            values.refuse(SETTINGS, "draws nothing where labels are compared")
        most = values.max_tokens(default.max_new_tokens)
        request = replace(
            default,
            sampling=values.sampling(default.sampling),
            max_new_tokens=default.max_new_tokens if most is None else most,
            stop=values.stop(default.stop),
            seed=values.seed or 0,
        )
        question = FewShotQueries(request, (query,))
        return Wanted(question, id_of(row), seeded=values.has("seed"), own=values.any)


def query_of(row: Row, field: str) -> Query:
    """The query of a row. Raises InputError where there is none."""
    name = "" if "" in row.values else field
    text = row.text(name, "--input-field")
    if not text.strip():
        raise InputError(row.subject, f"{name!r} is empty" if name else "is empty")
    return Query(row.subject, text)
