"""`gptcli neighbors`: which tokens lie near a word."""

from __future__ import annotations

from typing import Annotated

from gptcli.cli.environment import Environment
from gptcli.cli.exports import Exports
from gptcli.cli.flags.groups import but
from gptcli.cli.flags.inside import Inside
from gptcli.cli.flags.output import Output
from gptcli.cli.flags.place import Here
from gptcli.cli.flags.rows import Rows
from gptcli.cli.flags.source import Special, checked
from gptcli.cli.opening import open_for
from gptcli.config import option
from gptcli.errors import UsageError
from gptcli.plain import dataclass
from gptcli.types.neighbors import NeighborsRequest, Term
from gptcli.ui.views import neighbors as view

#: (what it is for, the command), for the man page.
EXAMPLES = (
    ("What lies near a word.", "gptcli neighbors jump"),
    ("Sums of words.", 'gptcli neighbors --from "king - man + woman"'),
    (
        "How far the same word grows apart in two contexts.",
        'gptcli neighbors model --in "a machine learning model" --in "a fashion model"',
    ),
    (
        "A word after layer 2, in its context.",
        'gptcli neighbors model --layer 2 --in "a fashion model"',
    ),
)


@dataclass(frozen=True)
class Sought:
    """The word, or the sum of words, and where it stands."""

    words: tuple[str, ...] = option((), "Words.", metavar="[WORD]...", argument=True)
    expression: str | None = option(
        None,
        'A sum of words instead, spaces around + and -: "king - man + woman".',
        "--from",
        metavar="SUM",
        brief='A sum of words: "king - man + woman".',
    )
    contexts: tuple[str, ...] = option(
        (),
        "The word's vector where it stands in this text (the last time). Given twice, how far apart"
        " the word is in the two, layer by layer. Repeatable.",
        "--in",
        metavar="TEXT",
        brief="The word where it stands in this text.",
    )
    layer: int | None = option(
        None,
        "With --in: the neighbours after this layer, -1 for the embedding. Default: the last for"
        " one text, and for more of them no neighbours but distances.",
        metavar="L",
        brief="With --in: the neighbours after this layer.",
    )
    forms: bool = option(
        False, "Show other spellings of the word too: capitals, without its space."
    )

    def check(self) -> None:
        """Raise UsageError for what does not go together."""
        if self.expression is not None and (self.words or self.contexts):
            other = "words" if self.words else "--in"
            raise UsageError("--from", f"cannot be combined with {other}")
        if self.expression is None and not self.words:
            raise UsageError("word", "is missing", "for example: gptcli neighbors jump")
        if self.contexts and len(self.words) != 1:
            raise UsageError("--in", f"looks at one word, not {len(self.words)}")
        if self.layer is not None and not self.contexts:
            raise UsageError("--layer", "needs a context (--in)")


_Output = Annotated[
    Output,
    but(
        json="One JSON object of all numbers: words with neighbors and their cosine, drifts"
        " between contexts."
    ),
]


def neighbors(
    environment: Environment,
    sought: Sought,
    rows: Annotated[Rows, but(rows="How many neighbours to show. Default: 10.")],
    special: Special,
    inside: Annotated[Inside, but(window=None)],
    compute: Here,
    output: _Output,
) -> None:
    """Show the nearest neighbours of words among the model's tokens.

    Nearness is the cosine between vectors of the input embedding: 1 is the same direction, 0 none
    in common. A word is looked up with a space before it, as it stands within a text; a word of
    several tokens is the mean of their vectors. A pipe gets tab-separated rows.
    """
    exports = Exports(environment, inside, json=output.json)
    words = tuple(checked(word, "word") for word in sought.words)
    contexts = tuple(checked(text, "--in") for text in sought.contexts)
    sought.check()
    summed = sought.expression
    request = NeighborsRequest(
        words=words,
        terms=() if summed is None else terms(checked(summed, "--from")),
        contexts=contexts,
        layer=sought.layer,
        rows=rows.rows,
        forms=sought.forms,
        special=special.special,
    )
    messages = output.messages(environment)
    found = open_for(compute, messages).answer(request)
    exports.present(
        "neighbors", found, messages, lambda stream: view.show(stream, found), view.as_json
    )


def terms(expression: str) -> tuple[Term, ...]:
    """The words of a sum. Raises UsageError for one that is none."""
    found: list[Term] = []
    for part in f"+ {expression}".split():
        if part in ("+", "-"):
            found.append(Term(1 if part == "+" else -1, ""))
        else:
            # Words without a sign between them are one: `new york`.
            last = found[-1]
            found[-1] = Term(last.sign, f"{last.word} {part}".strip())
    if expression.split()[:1] in (["+"], ["-"]):
        # The sign stands there already.
        del found[0]
    if any(not term.word for term in found):
        hint = 'for example: --from "king - man + woman"'
        raise UsageError("--from", f"must be words with + or - between them: {expression!r}", hint)
    return tuple(found)
