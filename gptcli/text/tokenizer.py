"""A model directory's tokenizer: text → ids, and id → exact bytes."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from contextlib import contextmanager, nullcontext
from functools import cached_property
from pathlib import Path
from typing import Any

from gptcli.errors import ModelError
from gptcli.formats import json as jsonfile
from gptcli.text import made_tokenizer as converted
from gptcli.text import template_source
from gptcli.text.panics import stderr_closed
from gptcli.text.template_source import TemplateText
from gptcli.text.token_bytes import byte_level, character_of_byte, scheme, sentence_piece

_SETTINGS = "tokenizer_config.json"
_NAMED = tuple(f"{part}_token" for part in ("bos", "eos", "unk", "sep", "pad", "cls", "mask"))


class Tokenizer:
    """The fast tokenizer of a model directory, and what its tokenizer_config.json adds."""

    def __init__(self, directory: Path) -> None:
        """Raises ModelError where tokenizer.json is broken, or missing and cannot be made.

        `notice` tells that it was made of other files, the first time only.
        """
        import tokenizers

        self._directory = directory
        self._path, text, self.notice = converted.find(directory)
        with self._blamed("cannot be read"):
            self._rust = (
                tokenizers.Tokenizer.from_file(str(self._path))
                if text is None
                else tokenizers.Tokenizer.from_str(text)
            )
        if getattr(self._rust.model, "dropout", None):
            # It makes the cut random, which is for training too.
            self._rust.model.dropout = None
        # Padding and truncation are for training batches; here they would lose or invent tokens.
        self._rust.no_padding()
        self._rust.no_truncation()
        # The decoder's own state, since parsing all of tokenizer.json again would take longer.
        decoder = self._rust.decoder
        self._scheme = scheme(json.loads(decoder.__getstate__()) if decoder else None)
        #: What tokenizer_config.json says, nothing where there is none.
        self.settings = _settings(directory)
        self._added = self._rust.get_added_tokens_decoder()
        self._special = {token for token, added in self._added.items() if added.special}

    @property
    def size(self) -> int:
        """How many tokens there are, added ones included."""
        return self._rust.get_vocab_size(with_added_tokens=True)

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
        self._rust.encode_special_tokens = not special
        with self._inside() if inside else nullcontext(), self._blamed("cannot encode this text"):
            found = self._rust.encode(text, add_special_tokens=False)
        cut = [(i, a, b) for i, (a, b) in zip(found.ids, found.offsets, strict=True)]
        named = self._special.union(never)
        if special or named.isdisjoint(found.ids):
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

    @contextmanager
    def _inside(self) -> Iterator[None]:
        """Metaspace with prepend_scheme "first" marks a beginning wherever `encode` begins."""
        cutter = self._rust.pre_tokenizer
        # A sequence of pre-tokenizers can be indexed, and so be gone through.
        cutters = list(cutter) if hasattr(cutter, "__getitem__") else [cutter]
        first = [each for each in cutters if getattr(each, "prepend_scheme", None) == "first"]
        for each in first:
            each.prepend_scheme = "never"
        try:
            yield
        finally:
            for each in first:
                each.prepend_scheme = "first"

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
                (part.id, place, place + 1)
                for place in range(start, end)
                for part in self._rust.model.tokenize(self._spelled(text[place]))
            ]

    def _spelled(self, letter: str) -> str:
        """A letter as the vocabulary spells it."""
        if self._scheme is byte_level:
            return "".join(map(character_of_byte().__getitem__, letter.encode()))
        return letter.replace(" ", "▁")

    @cached_property
    def prefix(self) -> list[int]:
        """What the model expects before every text: usually nothing, or a BOS token.

        tokenizer_config.json's add_bos_token decides where it is there, else the post-processor.
        An end token that a post-processor would append is left out: the text goes on.
        """
        wanted = self.settings.get("add_bos_token")
        if isinstance(wanted, bool):
            bos = self.id_of(_content(self.settings.get("bos_token")))
            return [bos] if wanted and bos is not None else []
        with self._blamed("has a broken post-processor"):
            encoding = self._rust.encode("a", add_special_tokens=True)
        bare = len(self._rust.encode("a", add_special_tokens=False).ids)
        before = next((i for i, m in enumerate(encoding.special_tokens_mask) if not m), 0)
        return list(encoding.ids[:before]) if len(encoding.ids) > bare else []

    @cached_property
    def named_tokens(self) -> dict[str, str]:
        """The tokens that tokenizer_config.json names by their part: `bos_token`, `eos_token`, …"""
        found = {name: _content(self.settings.get(name)) for name in _NAMED}
        return {name: text for name, text in found.items() if text is not None}

    @cached_property
    def templates(self) -> dict[str, TemplateText]:
        """The model's own chat templates, by name. Raises ModelError for broken files."""
        return template_source.named(self._directory, self.settings)

    @property
    def end_text(self) -> str | None:
        """The text of the end token that tokenizer_config.json names."""
        return _content(self.settings.get("eos_token"))

    def id_of(self, token: str | None) -> int | None:
        """The id of a token by its exact spelling in the vocabulary."""
        return None if token is None else self._rust.token_to_id(token)

    def has(self, token_id: int) -> bool:
        """Whether there is a token of that id; a vocabulary may have gaps."""
        # Larger numbers than the library's type holds would be an OverflowError there.
        return 0 <= token_id < 2**32 and self._rust.id_to_token(token_id) is not None

    def is_added(self, token_id: int) -> bool:
        """Whether it stands beside the vocabulary, for a purpose of its own."""
        return token_id in self._added

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
        spelling = self._rust.id_to_token(token_id)
        if spelling is None:
            # A model may have more rows than its tokenizer has tokens.
            return b""
        if self._scheme is not None:
            return self._scheme(spelling)
        with self._blamed(f"cannot decode token {token_id}"):
            return self._rust.decode([token_id], skip_special_tokens=False).encode()

    def special_in(self, text: str) -> str | None:
        """The first control token whose name stands in a text, None for none."""
        names = [t.content for t in self._added.values() if t.special and t.content in text]
        return min(names, key=text.index, default=None)

    @contextmanager
    def _blamed(self, reason: str) -> Iterator[None]:
        """Errors of the library as ours; it raises plain Exception, and panics beyond Exception."""
        try:
            with stderr_closed():
                yield
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:
            raise ModelError(str(self._path), f"{reason}: {error}") from None


def _content(token: Any) -> str | None:
    """A token of tokenizer_config.json: a text, or an object that holds one."""
    if isinstance(token, dict):
        token = token.get("content")
    # A lone surrogate, which JSON can spell, is no text.
    return token if isinstance(token, str) and _is_utf8(token) else None


def _is_utf8(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _settings(directory: Path) -> dict[str, Any]:
    path = directory / _SETTINGS
    return jsonfile.read(path) if path.exists() else {}
