"""Rows that are scored, looked behind, chosen for, or answered in the manner of examples."""

from __future__ import annotations

from dataclasses import dataclass, replace

from gptcli.batches import own
from gptcli.batches.asked import Wanted
from gptcli.errors import InputError
from gptcli.formats.openai.constraint import FORMS, constraint
from gptcli.formats.openai.drawing import Drawing, drawing, new_tokens, sampling
from gptcli.formats.openai.fields import Fields
from gptcli.types.ask import AskRequest
from gptcli.types.choose import ChooseRequest
from gptcli.types.embedding import EmbeddingRequest
from gptcli.types.few_shot import FewShotQueries, FewShotRequest, Query
from gptcli.types.next_tokens import NextTokensRequest
from gptcli.types.rows import Row, given_twice
from gptcli.types.score import ScoreRequest


@dataclass(frozen=True)
class Scores:
    """`text` and perhaps `context`, or a plain line; nothing is drawn, so nothing can be set."""

    default: ScoreRequest
    columns = ("text",)

    def wanted(self, row: Row) -> Wanted:
        """See Dialect."""
        with own.told_of(row):
            fields = own.fields_of(row, *self.columns, "context")
            text, context = own.text_of(fields, "text"), fields.text("context")
            fields.done()
        context = self.default.context if context is None else context
        question = replace(self.default, text=text, context=context, subject=row.subject)
        return Wanted(question, own.id_of(row))


@dataclass(frozen=True)
class Embeddings:
    """`text`, or a plain line, which becomes a vector."""

    default: EmbeddingRequest
    columns = ("text",)

    def wanted(self, row: Row) -> Wanted:
        """See Dialect."""
        with own.told_of(row):
            fields = own.fields_of(row, *self.columns)
            text = own.text_of(fields, "text")
            fields.done()
        return Wanted(replace(self.default, text=text, subject=row.subject), own.id_of(row))


@dataclass(frozen=True)
class NextTokens:
    """`prompt`, or a plain line, and how what follows would be drawn."""

    default: NextTokensRequest
    columns = ("prompt",)

    def wanted(self, row: Row) -> Wanted:
        """See Dialect."""
        with own.told_of(row):
            fields = own.fields_of(row, *self.columns)
            says = own.has_settings(fields)
            prompt = own.prompt_of(fields)
            wish = sampling(fields, own.biased(fields, self.default.sampling), own.BOUNDS)
            fields.done()
        question = replace(self.default, prompt=prompt, sampling=wish, subject=row.subject)
        return Wanted(question, own.id_of(row), own=says)


@dataclass(frozen=True)
class Chosen:
    """`prompt`, or a plain line, and perhaps `choices` of its own."""

    default: ChooseRequest
    columns = ("prompt",)

    def wanted(self, row: Row) -> Wanted:
        """See Dialect."""
        with own.told_of(row):
            fields = own.fields_of(row, *self.columns, "choices")
            prompt = own.prompt_of(fields)
            given = _choices(fields)
            fields.done()
        choices = self.default.choices if given is None else given
        if len(choices) < 2:
            raise InputError(row.subject, f"at least two choices are needed, not {len(choices)}")
        question = replace(self.default, prompt=prompt, choices=choices)
        return Wanted(question, own.id_of(row), own=given is not None)


def _choices(fields: Fields) -> tuple[str, ...] | None:
    found = fields.take("choices")
    if found is None:
        return None
    if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
        raise fields.invalid("choices", "must be a list of texts")
    twice = given_twice(found)
    if "" in found or twice is not None:
        why = "one is empty" if "" in found else f"{twice!r:.60} is given twice"
        raise fields.invalid("choices", why)
    return tuple(found)


@dataclass(frozen=True)
class Questions:
    """`question`, or a plain line, and perhaps a `system` prompt: answered with a value."""

    default: AskRequest
    columns = ("question",)

    def wanted(self, row: Row) -> Wanted:
        """See Dialect."""
        with own.told_of(row):
            fields = own.fields_of(row, *self.columns, "system")
            question, system = own.text_of(fields, "question"), fields.text("system")
            fields.done()
        if not question.strip():
            raise InputError(row.subject, "the question is empty")
        system = self.default.system if system is None else system
        asked = replace(self.default, question=question, system=system)
        return Wanted(asked, own.id_of(row))


@dataclass(frozen=True)
class Queries:
    """The input under `field`, or a plain line; what is drawn for it can be set, and its form.

    output: under which name rows may have what is due, as those of examples do; it is not read.
    """

    default: FewShotRequest
    field: str
    output: str = "output"

    @property
    def columns(self) -> tuple[str, ...]:
        """See Dialect."""
        return (self.field,)

    def wanted(self, row: Row) -> Wanted:
        """See Dialect."""
        query = query_of(row, self.field)
        default = self.default
        with own.told_of(row):
            fields = own.fields_of(row, self.field, self.output)
            for name in ("", self.field, self.output):
                fields.take(name)
            says = own.has_settings(fields)
            if default.labels:
                for name in (*own.SETTINGS, *FORMS):
                    fields.only(name, (), "draws nothing where labels are compared")
            wish = own.biased(fields, default.sampling)
            found = drawing(fields, Drawing(wish, None, 1, default.stop), own.BOUNDS)
            most = new_tokens(fields, "max_tokens", default=default.max_new_tokens)
            form = constraint(fields, default.constraint)
            if found.samples != 1:
                raise fields.invalid("n", "can only be 1 in the manner of examples")
            fields.done()
        request = replace(
            default,
            sampling=found.sampling,
            max_new_tokens=default.max_new_tokens if most is None else most,
            stop=found.stop,
            seed=found.seed or 0,
            constraint=form,
        )
        question = FewShotQueries(request, (query,))
        return Wanted(question, own.id_of(row), seeded=found.seed is not None, own=says)


def query_of(row: Row, field: str) -> Query:
    """The query of a row. Raises InputError where there is none."""
    name = "" if "" in row.values else field
    text = row.text(name, "--input-field")
    if not text.strip():
        raise InputError(row.subject, f"{name!r} is empty" if name else "is empty")
    return Query(row.subject, text)
