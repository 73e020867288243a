"""`/model` of a chat: the conversation goes on with another model."""

from __future__ import annotations

from dataclasses import replace

from gptcli.backends import settled
from gptcli.chat.talk import Talk, Timed
from gptcli.cli.input.session import lasting
from gptcli.cli.opening import open_for
from gptcli.types.compute import Compute
from gptcli.types.prompt_cache import PromptCache
from gptcli.ui.terminal.messages import Messages


class Switching:
    """Opens other models as the first one was opened, but for its adapters and for what drafts,
    which are its own.
    """

    def __init__(self, compute: Compute, prompts: PromptCache, messages: Messages) -> None:
        self._compute, self._prompts, self._messages = compute, prompts, messages

    def change(self, talk: Talk, name: str) -> str:
        """Go on with the model of a name; what became of it, for the person.

        Raises the errors of opening it, and UsageError where it cannot be told what the chat is
        told; then the old one stays.
        """
        compute = self._compute
        by_hand = compute.by_hand | {"model"}
        alone = replace(compute, adapter=(), adapter_apart=False, draft=None, draft_dtype="auto")
        named = replace(alone, model=name, by_hand=by_hand)
        wanted = settled(named)
        backend = Timed(lambda: open_for(wanted, self._messages, prompts=self._prompts))
        old = talk.switch(backend, wanted.model)
        self._compute = wanted
        talk.keeping.held_with(lasting(wanted.model), ())
        if any(each.role == "user" for each in talk.messages):
            # Whoever goes on with the session goes on with this one.
            talk.keep()
        old.close()
        left = ["the adapters"] if compute.adapter else []
        left += ["--draft"] if compute.draft is not None else []
        without = f", without {' and '.join(left)}" if left else ""
        return f"{wanted.model} goes on{without}"
