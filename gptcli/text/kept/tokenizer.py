"""A tokenizer in its kept form: the steps are the library's, the model's work is done on tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from itertools import groupby
from typing import TYPE_CHECKING

from gptcli.formats.tokenizer_json import library
from gptcli.text.cutter import Cut, Cutter, within
from gptcli.text.kept import offsets
from gptcli.text.kept.form import Form
from gptcli.text.kept.merges import Merges
from gptcli.text.kept.remembering import remember
from gptcli.text.kept.spellings import Spellings
from gptcli.text.kept.unigram import BYTE_NAMES, Unigram

if TYPE_CHECKING:
    from tokenizers import Tokenizer

#: Entries of the tables that the library reads in twice the time in which a symbol is cut here.
_PACE = {"BPE": 4, "Unigram": 8}
#: Words that are remembered at most, and their symbols.
_WORDS, _LONGEST = 1 << 12, 32


class KeptTokenizer:
    """A `Cutter`, of what `making.made` gave and of `facts` that its opening adds.

    whole: gives the library's tokenizer, for what is not covered here, and for what is longer than
    pays: it cuts faster, once it is open.
    """

    def __init__(self, form: Form, whole: Callable[[], Cutter], *, most: int | None = None) -> None:
        """most: symbols of words that are cut here, as many as pay where nothing is said."""
        facts = form.facts
        self.steps = library.build(bytes(form.tables["steps"]))
        self.size: int = facts["size"]
        self.growth: int = facts["growth"]
        self.prefix: list[int] = facts["prefix"]
        self.disputes: tuple[str, ...] = tuple(facts["disputes"])
        self._trims: list[bool] = facts["trims"]
        self._spellings = Spellings(form)
        self._model: _Bpe | _Unigram
        entries = self._spellings.size
        if facts["kind"] == "BPE":
            self._model = _Bpe(form, self._spellings)
            entries += len(form.numbers("rights"))
        else:
            self._model = _Unigram(form, self._spellings, self.steps)
        self._left = entries // _PACE[facts["kind"]] if most is None else most
        self._open_whole, self._opened = whole, False

    @cached_property
    def _whole(self) -> Cutter:
        found = self._open_whole()
        self._opened = True
        return found

    @cached_property
    def _added(self) -> dict[str, int]:
        return {each.content: at for at, each in self.steps.get_added_tokens_decoder().items()}

    def cut(self, text: str, *, special: bool, inside: bool) -> list[Cut]:
        """A text's tokens."""
        ours = not self._opened and len(text) <= self._left
        found = self._cut(text, special, inside) if ours else None
        if found is None:
            return self._whole.cut(text, special=special, inside=inside)
        return found

    def _cut(self, text: str, special: bool, inside: bool) -> list[Cut] | None:
        """None where it is not covered here."""
        self.steps.encode_special_tokens = not special
        with within(self.steps, inside=inside), library.guarded():
            found = self.steps.encode(text, add_special_tokens=False)
        symbols, places, spelt = found.ids, found.offsets, found.tokens
        # A text may have become longer than it was.
        self._left -= len(symbols)
        if self._left < 0 or not self._model.covers(symbols):
            return None
        cut: list[Cut] = []
        names: list[str] = []
        for at, end in _runs(found.word_ids):
            tokens = self._model.tokens(symbols[at:end], spelt[at:end])
            cut += [(token, places[at + a][0], places[at + b - 1][1]) for token, a, b in tokens]
            if self._trims:
                # What was found before the model's work is told as it stands in the text.
                one = end - at == 1
                names += spelt[at:end] if one else [self._spelt(token) for token, _, _ in tokens]
        for spares in self._trims:
            cut = offsets.trimmed(cut, names, spares=spares)
        return cut

    def pieces(self, word: str) -> list[int]:
        """What the model alone makes of a word."""
        with library.guarded():
            found = self.steps.model.tokenize(word)
        symbols = [each.id for each in found]
        if not self._model.covers(symbols):
            return self._whole.pieces(word)
        tokens = self._model.tokens(symbols, [each.value for each in found]) if symbols else []
        return [token for token, _, _ in tokens]

    def id_of(self, spelling: str) -> int | None:
        """The token of exactly that spelling."""
        found = self._spellings.id_of(spelling.encode())
        return self._added.get(spelling) if found is None else found

    def spelling(self, token: int) -> str | None:
        """A token's spelling in the vocabulary."""
        if 0 <= token < self._spellings.size:
            return self._spelt(token)
        return next((text for text, at in self._added.items() if at == token), None)

    def decoded(self, token: int) -> str:
        """A token as the decoder alone gives it."""
        return self._whole.decoded(token)

    def _spelt(self, token: int) -> str:
        return self._spellings.of(token).decode()


class _Bpe:
    """Symbols are the letters that the library has found in the vocabulary, and what stands for
    others.
    """

    def __init__(self, form: Form, spellings: Spellings) -> None:
        self._merges, self._spellings = Merges(form), spellings
        self._none: int | None = form.facts["none"]
        self._whole_words: bool = form.facts["whole_words"]
        self._words: dict[tuple[int, ...], list[tuple[int, int, int]]] = {}

    def covers(self, symbols: Sequence[int]) -> bool:
        """Whether every letter became a symbol."""
        return self._none is None or self._none not in symbols

    def tokens(self, symbols: Sequence[int], spelt: Sequence[str]) -> list[tuple[int, int, int]]:
        """(id, first symbol, last symbol + 1) of a word's tokens."""
        if len(symbols) == 1:
            return [(symbols[0], 0, 1)]
        if len(symbols) > _LONGEST:
            return self._found(symbols, spelt)
        word = tuple(symbols)
        found = self._words.get(word)
        if found is None:
            return remember(self._words, word, self._found(word, spelt), _WORDS)
        return found

    def _found(self, symbols: Sequence[int], spelt: Sequence[str]) -> list[tuple[int, int, int]]:
        if self._whole_words:
            word = "".join(spelt)
            # What stands for a byte or for an unknown letter has a name of several.
            token = self._spellings.id_of(word.encode()) if len(word) == len(symbols) else None
            if token is not None:
                return [(token, 0, len(symbols))]
        return self._merges.merged(symbols)


class _Unigram:
    """Symbols are bytes, and added tokens of one letter."""

    def __init__(self, form: Form, spellings: Spellings, steps: Tokenizer) -> None:
        self._unigram = Unigram(form, spellings)
        self._bytes: dict[int, bytes] = {
            at: each.content.encode()
            for at, each in steps.get_added_tokens_decoder().items()
            if len(each.content) == 1
        }
        for byte, name in enumerate(BYTE_NAMES):
            symbol = steps.token_to_id(name)
            if symbol is not None:
                self._bytes[symbol] = bytes([byte])

    def covers(self, symbols: Sequence[int]) -> bool:
        """Whether every letter became a symbol."""
        return True

    def tokens(self, symbols: Sequence[int], spelt: Sequence[str]) -> list[tuple[int, int, int]]:
        """(id, first symbol, last symbol + 1) of a word's tokens."""
        if len(symbols) == 1 and symbols[0] not in self._bytes:
            return [(symbols[0], 0, 1)]
        parts = [self._bytes[symbol] for symbol in symbols]
        # The symbol that each byte of the word belongs to.
        of = [at for at, part in enumerate(parts) for _ in part]
        found = self._unigram.pieces(b"".join(parts))
        return [(token, of[start], of[end - 1] + 1) for token, start, end in found]


def _runs(words: Sequence[int | None]) -> Iterator[tuple[int, int]]:
    """(start, end) of each run of equals."""
    start = 0
    for _, run in groupby(words):
        end = start + sum(1 for _ in run)
        yield start, end
        start = end
