"""From what a user wants and what a model has to the form that a conversation takes."""

from __future__ import annotations

from gptcli.errors import UsageError
from gptcli.text import template_source
from gptcli.text.chat_document import DocumentForm
from gptcli.text.chat_template import ChatTemplate
from gptcli.text.tokenizer import Tokenizer
from gptcli.text.transcript import Transcript
from gptcli.types.chat import ChatForm, TranscriptForm


def open_form(
    form: ChatForm,
    tokenizer: Tokenizer,
    *,
    context: int | None = None,
    budget: int | None = None,
) -> DocumentForm:
    """A transcript where one is asked for, else a template where there is one, else a transcript.

    context: how many tokens a document must not have, None where that is not known. budget: how
    many an answer may think. Raises UsageError for a template that there is not, a transcript that
    cannot be, and for what is to be told to a template and cannot be.
    """
    source = None
    if form.transcript is None:
        source = template_source.find(tokenizer.templates, form.template)
    if source is not None:
        return ChatTemplate(source, tokenizer, context=context, told=form, budget=budget)
    if form.told:
        raise UsageError(form.told[0], "is for a chat template, and a transcript has none")
    return Transcript(form.transcript or TranscriptForm(), tokenizer)
