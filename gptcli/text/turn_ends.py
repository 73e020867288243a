"""Where a model that was taught to talk in turns ends one, whatever it is asked to complete."""

from __future__ import annotations

from gptcli.errors import ModelError
from gptcli.formats import end_tokens
from gptcli.text.thinking_forms import messages_of
from gptcli.text.tokenizer import Tokenizer


def turn_ends(tokenizer: Tokenizer) -> frozenset[int]:
    """Added tokens that end a turn in one of the model's own chat templates.

    What ends a part of an answer, a channel, is none. A broken template has no ends: whoever
    needs it is told.
    """
    try:
        written = "\n".join(template.text for template in tokenizer.templates.values())
    except ModelError:
        return frozenset()
    named = map(tokenizer.id_of, end_tokens.of_turns(written))
    found = {each for each in named if each is not None and tokenizer.is_added(each)}
    messages = messages_of(tokenizer) if found else None
    return frozenset(found - messages.within if messages else found)
