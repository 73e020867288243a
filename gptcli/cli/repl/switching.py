"""`/model` and `/steer` of a chat: the conversation goes on with another model, or another way."""

from __future__ import annotations

from dataclasses import replace

from gptcli.backends import settled
from gptcli.chat.talk import Talk, Timed
from gptcli.cli.input.session import lasting
from gptcli.cli.opening import open_for
from gptcli.errors import UsageError
from gptcli.types.compute import Compute
from gptcli.types.models import SteerRef
from gptcli.types.prompt_cache import PromptCache
from gptcli.ui.terminal.messages import Messages


class Switching:
    """Opens other models as the first one was opened, but for what is added to it, and for what
    drafts, which are its own; and the same model with other control vectors.
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
        alone = replace(compute.alone, draft=None, draft_dtype="auto")
        wanted = settled(replace(alone, model=name, by_hand=by_hand))
        self._go_on(talk, wanted)
        left = ["the adapters"] if compute.adapter else []
        left += ["what steers"] if compute.steer else []
        left += ["--draft"] if compute.draft is not None else []
        without = f", without {' and '.join(left)}" if left else ""
        return f"{wanted.model} goes on{without}"

    def steer(self, talk: Talk, said: str) -> str:
        """Go on with the control vector that is named, with one more (+ NAME), or with none (off);
        where nothing is said, all stays. What steers then. Raises as `change` does.
        """
        before = self._compute
        try:
            more = (
                [SteerRef.parse(said.removeprefix("+").strip())] if said not in ("", "off") else []
            )
        except ValueError as error:
            raise UsageError("/steer", str(error)) from None
        if said:
            steer = (*(before.steer if said.startswith("+") else ()), *more)
            self._go_on(talk, replace(before, steer=steer))
        names = " + ".join(each.name for each in self._compute.steer)
        return f"steered by {names}" if names else "nothing steers; /steer FILE.gguf does"

    def _go_on(self, talk: Talk, wanted: Compute) -> None:
        backend = Timed(lambda: open_for(wanted, self._messages, prompts=self._prompts))
        old = talk.switch(backend, wanted.model)
        self._compute = wanted
        talk.keeping.held_with(lasting(wanted.model), wanted.adapter, wanted.steer)
        if any(each.role == "user" for each in talk.messages):
            # Whoever goes on with the session goes on with this one.
            talk.keep()
        old.close()
