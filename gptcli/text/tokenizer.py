"""A model directory's tokenizer: text → ids, and id → exact bytes."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import Any

from gptcli.errors import InputError, ModelError
from gptcli.formats.tokenizer_json import bounds, library
from gptcli.formats.tokenizer_json.byte_letters import spelled
from gptcli.formats.tokenizer_json.parts import UnfitError
from gptcli.text import added_tokens, first_space, made_tokenizer, template_source
from gptcli.text.opened_tokenizer import opened
from gptcli.text.template_source import TemplateText
from gptcli.text.token_bytes import byte_level, scheme, sentence_piece
from gptcli.types.events import Notice

#: Letters of each that need no thought: ordinary tokenizers make no more of a letter.
_USUAL_GROWTH = 64


class Tokenizer:
    """The tokenizer of a model directory, and what the files beside it add to it."""

    def __init__(self, directory: Path) -> None:
        """Raises ModelError where its files are broken, or missing and cannot be made.

        `notices` tell that it was made of other files, the first time only, and where files
        contradict each other.
        """
        found = made_tokenizer.find(directory)
        self._directory = directory
        self._path, self._settings = found.path, found.settings
        with self._blamed("cannot be read"):
            self._cutter, notice = opened(found)
        growth = self._cutter.growth
        #: Letters of the longest text that may be cut, None for any.
        self._longest = None if growth <= _USUAL_GROWTH else bounds.LETTERS // growth
        steps = self._cutter.steps
        # The decoder's own state, since parsing all of tokenizer.json again would take longer.
        self._scheme = scheme(library.state(steps.decoder))
        self._space = first_space.where(steps)
        self._added = steps.get_added_tokens_decoder()
        self._special = {token for token, added in self._added.items() if added.special}
        disputes = list(self._cutter.disputes)
        if found.settings.flag("add_bos_token") is not None:
            bos = self.named_tokens.get("bos_token")
            at = self.id_of(bos)
            puts = None if at is None else at in self.prefix
            disputes += added_tokens.beginning(found.settings, bos, puts=puts)
        told = [Notice(str(directory), each) for each in disputes]
        self.notices = tuple(told if notice is None else [notice, *told])

    @property
    def file(self) -> Path:
        """What it was made of."""
        return self._path

    @property
    def settings(self) -> Mapping[str, Any]:
        """What tokenizer_config.json says, nothing where there is none."""
        return self._settings.fields

    @property
    def size(self) -> int:
        """How many tokens there are, added ones included."""
        return self._cutter.size

    def encode(
        self,
        text: str,
        *,
        special: bool = False,
        inside: bool = False,
        never: Collection[int] = (),
    ) -> list[int]:
        """The ids of a text, and nothing before or after it.

        special: texts of control tokens (`<|im_end|>`) become those tokens. Without it they are
        text like any other, so that text can never give an order. inside: the text stands after
        another token, so it gets no space of a text's beginning. never: more added tokens,
        which are text here even if they are no control tokens elsewhere.
        """
        cut = self.cut(text, special=special, inside=inside, never=never)
        return [token for token, _, _ in cut]

    def cut(
        self,
        text: str,
        *,
        special: bool = False,
        inside: bool = False,
        never: Collection[int] = (),
    ) -> list[tuple[int, int, int]]:
        """As `encode`, with the place of each token: (id, start, end), in characters."""
        if self._longest is not None and len(text) > self._longest:
            most = f"more than the {self._longest} that this model's tokenizer can be given"
            raise InputError("text", f"has {len(text)} letters, {most}")
        with self._blamed("cannot encode this text"):
            cut = self._cutter.cut(text, special=special, inside=inside)
        named = self._special.union(never)
        if special or named.isdisjoint(token for token, _, _ in cut):
            return cut
        return [part for token in cut for part in self._as_text(token, text, named)]

    def controls(self, text: str, controls: Collection[int]) -> list[tuple[int, int, int]]:
        """(id, start, end) in characters of those control tokens that stand in a text.

        White space that such a token takes with it belongs to it.
        """
        return [each for each in self.cut(text, special=True) if each[0] in controls]

    def control_names(self, text: str = "") -> dict[int, str]:
        """The control tokens by id, with those added tokens whose names stand in `text`."""
        return {
            token: added.content
            for token, added in self._added.items()
            if added.special or added.content in text
        }

    def _as_text(
        self, cut: tuple[int, int, int], text: str, named: Collection[int]
    ) -> list[tuple[int, int, int]]:
        """A token as it is, but letter by letter where it was made of the name of one of those.

        A Unigram model may make a control token of a text, if its vocabulary holds the name; so
        may BPE that ignores merges; and added tokens that are no control tokens always count.
        """
        token, start, end = cut
        if token not in named or self._added[token].content not in text[start:end]:
            return [cut]
        with self._blamed("cannot encode this text"):
            return [
                (part, place, place + 1)
                for place in range(start, end)
                for part in self._cutter.pieces(self._spelled(text[place]))
            ]

    def _spelled(self, letter: str) -> str:
        """A letter as the vocabulary spells it."""
        if self._scheme is byte_level:
            return spelled(letter.encode())
        return letter.replace(" ", "▁")

    @property
    def prefix(self) -> list[int]:
        """What the model expects before every text: usually nothing, or a BOS token.

        The post-processor decides, as in transformers 5. An end token that it would append is left
        out: the text goes on.
        """
        with self._blamed("has a broken post-processor"):
            return self._cutter.prefix

    @cached_property
    def named_tokens(self) -> dict[str, str]:
        """The tokens that have a part, by its name: `bos_token`, `eos_token`, …"""
        return {**self._settings.usual, **self._settings.named}

    @cached_property
    def templates(self) -> dict[str, TemplateText]:
        """The model's own chat templates, by name. Raises ModelError for broken files."""
        return template_source.named(self._directory, self.settings)

    @property
    def end_text(self) -> str | None:
        """The text of the end token."""
        return self.named_tokens.get("eos_token")

    def id_of(self, token: str | None) -> int | None:
        """The id of a token by its exact spelling in the vocabulary."""
        return None if token is None else self._cutter.id_of(token)

    def has(self, token_id: int) -> bool:
        """Whether there is a token of that id; a vocabulary may have gaps."""
        return self._cutter.spelling(token_id) is not None

    def is_added(self, token_id: int) -> bool:
        """Whether it stands beside the vocabulary, for a purpose of its own."""
        return token_id in self._added

    @property
    def added_names(self) -> tuple[str, ...]:
        """The names of all that stand so."""
        return tuple(added.content for added in self._added.values())

    def is_special(self, token_id: int) -> bool:
        """Whether it is a control token, which has no place in text."""
        return token_id in self._special

    def added_name(self, token_id: int) -> str | None:
        """The name of an added token that has a place in text (`</think>` to many), else None."""
        added = self._added.get(token_id)
        return None if added is None or added.special else added.content

    def bytes_of(self, token_id: int) -> bytes:
        """The bytes that a token adds to the text; a control token's are those of its name."""
        added = self._added.get(token_id)
        if added is not None:
            # Gemma's runs of spaces are added tokens; a control token's name is no text.
            spaced = self._scheme is sentence_piece and not added.special
            return (added.content.replace("▁", " ") if spaced else added.content).encode()
        spelling = self._cutter.spelling(token_id)
        if spelling is None:
            # A model may have more rows than its tokenizer has tokens.
            return b""
        if self._scheme is not None:
            return self._scheme(spelling)
        with self._blamed(f"cannot decode token {token_id}"):
            return self._cutter.decoded(token_id).encode()

    def said_by(self, token_id: int) -> bytes:
        """The same, but nothing of a control token, which has no place in text."""
        return b"" if self.is_special(token_id) else self.bytes_of(token_id)

    def joined(self, ids: Collection[int]) -> bytes:
        """The bytes of tokens, one after the other; each is looked up once."""
        return b"".join(map({each: self.bytes_of(each) for each in set(ids)}.__getitem__, ids))

    def decode(self, ids: Sequence[int]) -> bytes:
        """The text whose tokens these are, without the space that nobody wrote."""
        if self._space is None:
            return self.joined(ids)
        found: list[bytes] = []
        begins = True
        # What stands between added tokens are texts of their own.
        for added, part in groupby(ids, self._added.__contains__):
            text = self.joined(list(part))
            found.append(self._space.without(text) if begins and not added else text)
            begins = self._space.everywhere
        return b"".join(found)

    def special_in(self, text: str) -> str | None:
        """The first control token whose name stands in a text, None for none."""
        names = [t.content for t in self._added.values() if t.special and t.content in text]
        return min(names, key=text.index, default=None)

    @contextmanager
    def _blamed(self, reason: str) -> Iterator[None]:
        """What the library refuses, or fails at, is the model's fault."""
        try:
            yield
        except UnfitError as error:
            raise ModelError(str(self._path), f"{reason}: {error}") from None
