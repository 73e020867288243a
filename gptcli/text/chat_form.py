"""From what a user wants and what a model has to the form that a conversation takes."""

from __future__ import annotations

from gptcli.text import template_source
from gptcli.text.chat_document import DocumentForm
from gptcli.text.chat_template import ChatTemplate
from gptcli.text.tokenizer import Tokenizer
from gptcli.text.transcript import Transcript
from gptcli.types.chat import ChatForm, TranscriptForm


def open_form(form: ChatForm, tokenizer: Tokenizer, *, context: int | None = None) -> DocumentForm:
    """A transcript where one is asked for, else a template where there is one, else a transcript.

    context: how many tokens a document must not have, None where that is not known. What a template
    is to be told is not told: see `DocumentForm.telling`.
    Raises UsageError for a template that there is not, or a transcript that cannot be.
    """
    if form.transcript is not None:
        return Transcript(form.transcript, tokenizer)
    source = template_source.find(tokenizer.templates, form.template)
    if source is None:
        return Transcript(TranscriptForm(), tokenizer)
    return ChatTemplate(source, tokenizer, context=context)
