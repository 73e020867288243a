"""How an example is written: a text with `{input}` and, after it, `{output}`."""

from __future__ import annotations

from collections.abc import Sequence

from gptcli.errors import UsageError
from gptcli.text.braces import parse
from gptcli.types.few_shot import Example


class ExampleTemplate:
    """A template, and what stands between examples."""

    def __init__(self, template: str, separator: str, subject: str = "--template") -> None:
        """Raises UsageError, which names `subject`, unless each field is there once, in order."""
        parts = parse(template, ("input", "output"), subject)
        if [field for _, field in parts if field] != ["input", "output"]:
            raise UsageError(subject, "must have {input} once and {output} once, after it")
        self._before, self._between, self._after = (literal for literal, _ in parts)
        self._separator = separator

    def render(self, example: Example) -> str:
        """The whole example."""
        written = self._before + example.input + self._between
        return written + example.output + self._after

    def open(self, query: str) -> str:
        """A query up to its output, less the spaces before that.

        Tokens carry the space before a word, so it is left to the answer.
        """
        return (self._before + query + self._between).rstrip(" \t")

    def document(self, instruction: str | None, examples: Sequence[Example], query: str) -> str:
        """Everything that stands before the answer."""
        parts = [instruction] if instruction else []
        parts += [self.render(example) for example in examples]
        return self._separator.join([*parts, self.open(query)])

    def answer(self, query: str, output: str) -> str:
        """An output as it follows the document, with the space that was left to it."""
        rest = self.render(Example(query, output))[len(self.open(query)) :]
        return rest[: len(rest) - len(rest.lstrip(" \t"))] + output

    @property
    def border(self) -> str:
        """What stands after an output where another example follows."""
        return self._after + self._separator or self._before

    def stops(self, examples: Sequence[Example]) -> tuple[str, ...]:
        """The texts at which a free answer ends; none of them stands in an example's output.

        The end of the line, unless outputs have several lines; and what stands after an output, up
        to the end of its first line, where that can be seen (a quotation mark, a separator), else
        all of it and how the next example would begin.
        """
        outputs = [example.output.strip() for example in examples]
        after = self._after + self._separator
        line = after.split("\n")[0].strip()
        whole = after + self._before
        borders = dict.fromkeys(["\n", line, whole.rstrip(), whole])
        fit = [each for each in borders if each and not any(each in text for text in outputs)]
        # One that holds another would never be reached.
        return tuple(
            each for each in fit if not any(other in each for other in fit if other != each)
        )


def begins_another(labels: Sequence[str]) -> bool:
    """Whether one of the labels is how another one begins."""
    return any(a != b and b.startswith(a) for a in labels for b in labels)


def unescape(text: str) -> str:
    r"""The text with \n, \t and \\ of a command line as what they mean; others stay."""
    found, place = "", 0
    meanings = {"\\n": "\n", "\\t": "\t", "\\\\": "\\"}
    while place < len(text):
        pair = text[place : place + 2]
        found += meanings.get(pair, text[place])
        place += 2 if pair in meanings else 1
    return found
