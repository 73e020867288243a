"""How a model of this disk thinks, by its own template and vocabulary, for whoever looks at it."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from gptcli.errors import GptcliError
from gptcli.plain import dataclass
from gptcli.text import template_source
from gptcli.text.chat_template import ChatTemplate
from gptcli.text.template_switches import switches
from gptcli.text.tokenizer import Tokenizer
from gptcli.types.chat import Message


@dataclass(frozen=True)
class ThinkingFacts:
    """marks: those around a thought, in words. begins: where an answer begins, as the template has
    it by itself: "before" a thought that the model may open, "thinking", or "after" one. switches:
    the variables by which the template is told how to think, or the words.
    """

    marks: str
    begins: str
    switches: tuple[str, ...]

    @property
    def in_words(self) -> str:
        """`<think> … </think>, opened by the template; told by enable_thinking`."""
        how = {"thinking": ", opened by the template", "after": ", off unless it is asked for"}
        told = f"; told by {', '.join(self.switches)}" if self.switches else ""
        return f"{self.marks}{how.get(self.begins, '')}{told}"


def thinking_facts(directory: Path) -> ThinkingFacts | None:
    """Those of a model directory; None where nothing shows thoughts, or something is broken."""
    try:
        tokenizer = Tokenizer(directory)
        source = template_source.find(tokenizer.templates, None)
        if source is None:
            return None
        with closing(ChatTemplate(source, tokenizer)) as template:
            form = template.thinking
            if form is None:
                return None
            written = template.document([Message("user", "Hello")]).written
            told = tuple(switches(template.reads, source.text))
            begins = form.begins(written)
            begins = "after" if begins == "saying" else begins
            return ThinkingFacts(form.description, begins, told)
    except GptcliError:
        return None
