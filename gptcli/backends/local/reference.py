"""A text at which parts of a model do what they usually do."""

from __future__ import annotations

from gptcli.backends.local.open_model import OpenModel
from gptcli.errors import InputError
from gptcli.plain import dataclass
from gptcli.types.events import Notice

#: Tokens of a text that are read at most, and that run at once.
MOST, PIECE = 2048, 256

#: What stands where nobody names another: of many subjects, and with little to agree with.
NEUTRAL = """\
The old bridge was closed in March, and the people of the valley had to take the longer road by
the mill. It rained for most of that month. "We have seen worse," said a farmer who had lived there
since he was a boy.

Water boils at a lower temperature on a mountain than at the coast, because the air is thinner.
For the same reason, bread that is baked up there needs a little more time. In 1987 a group of
students measured this in twelve kitchens; their results were printed in a small journal and then
forgotten.

How do you choose a good melon? Look at the colour, knock on it and listen. If it sounds hollow,
it is probably ripe. She bought three of them, two loaves of bread, and a bag of nails for the
fence.

The committee will meet again on Tuesday. Members are asked to bring their notes, to read the
second chapter of the report, and to send questions before noon. Software, music and the history
of trains are among the subjects that were proposed. Nobody knows yet who is going to pay for the
new roof, but most of the neighbours think that it should not cost more than the last one did.
"""


@dataclass(frozen=True)
class Reference:
    """A text in tokens. texts: pieces of it, and how many tokens of each are not of the text."""

    texts: tuple[tuple[list[int], int], ...]
    notices: tuple[Notice, ...]

    @property
    def tokens(self) -> int:
        """How many count."""
        return sum(len(ids) - first for ids, first in self.texts)


def reference_of(model: OpenModel, text: str | None) -> Reference:
    """A text, or our own, in pieces that begin as every text of the model does.

    Where nothing is put before them the first token of each is left out: what a model does there
    is of another size than anywhere else. Raises InputError for a text of too few tokens.
    """
    ids = model.encode_part(NEUTRAL if text is None else text, subject="--reference")
    prefix, count = model.tokenizer.prefix, len(ids)
    size = max(min(PIECE, model.runner.limit) - len(prefix), 2)
    first = len(prefix) or 1
    pieces = [[*prefix, *ids[at : min(at + size, MOST)]] for at in range(0, min(count, MOST), size)]
    texts = tuple((piece, first) for piece in pieces if len(piece) > first)
    if not texts:
        raise InputError("--reference", "has too few tokens", "give a few sentences at least")
    notices = []
    if count > MOST:
        notices.append(Notice("--reference", f"the first {MOST} of {count} tokens are read"))
    return Reference(texts, tuple(notices))
