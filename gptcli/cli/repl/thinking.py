"""What `/think` of a chat changes: whether and how hard a model thinks, and what is seen of it."""

from __future__ import annotations

from dataclasses import replace

from gptcli.chat.talk import Talk
from gptcli.errors import UsageError
from gptcli.types.chat import EFFORTS
from gptcli.ui.views.thinking import ThinkingView

_SWITCHES = {"on": True, "off": False, "auto": None}
WORDS = (*_SWITCHES, *EFFORTS, "show", "hide")


def change(talk: Talk, thoughts: ThinkingView, word: str) -> str:
    """Do what a word says; how things stand, for the person.

    Raises UsageError for another word, and for what the chat template cannot be told; then all is
    as it was.
    """
    if word in ("show", "hide"):
        thoughts.mode = "shown" if word == "show" else "folded"
    elif word in _SWITCHES or word in EFFORTS:
        before = talk.request
        form = before.form
        if word in EFFORTS:
            form = replace(form, effort=word)
        else:
            form = replace(form, think=_SWITCHES[word])
            form = replace(form, effort=None) if word == "auto" else form
        talk.request = replace(before, form=form)
        try:
            talk.check_form()
        except UsageError:
            talk.request = before
            raise
    elif word:
        raise UsageError(f"/think {word}", f"is none of {', '.join(WORDS)}")
    return _state(talk, thoughts)


def _state(talk: Talk, thoughts: ThinkingView) -> str:
    form = talk.request.form
    think = "as the template has it" if form.think is None else "on" if form.think else "off"
    effort = "" if form.effort is None else f", effort {form.effort}"
    return f"thinking: {think}{effort}, {'shown' if thoughts.mode == 'shown' else 'folded'}"
