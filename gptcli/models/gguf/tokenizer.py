"""The tokenizer that a GGUF file carries, as tokenizer.json and tokenizer_config.json.

Four kinds: `gpt2`, byte-level BPE, where `tokenizer.ggml.pre` names how a text is split before
merging; `llama`, SentencePiece's BPE, and `gemma4`, the same with merges of its own; and `t5`,
SentencePiece's Unigram. Keys:
https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

import base64
from typing import Any

from gptcli.errors import ModelError
from gptcli.formats import end_tokens
from gptcli.formats.gguf.header import Header
from gptcli.formats.tokenizer_json import bounds, byte_level, parts, pieces
from gptcli.formats.tokenizer_json.parts import UnfitError
from gptcli.formats.tokenizer_json.pieces import Piece, PieceKind, PieceRules
from gptcli.formats.tokenizer_json.splitting import WAYS, Splitting
from gptcli.models.gguf.fields import shown

_KINDS = ("gpt2", "llama", "t5", "gemma4")
_OTHER_KINDS = {"bert": "WordPiece", "rwkv": "RWKV"}
#: Keys of `tokenizer.ggml` beside the ids of tokens, and those that must be off.
_KNOWN = {"model", "pre", "tokens", "token_type", "scores", "merges", "token_type_count"}
_KNOWN |= {"add_bos_token", "add_eos_token", "add_space_prefix", "suppress_tokens"}
_OFF = {"add_sep_token", "normalizer.lowercase", "normalizer.strip_accents"}
#: Those that the Unigram kind knows, and that must be off elsewhere.
_NORMALISING = {"remove_extra_whitespaces", "precompiled_charsmap"}
#: Keys of `tokenizer` beside `ggml`: the template, others by name, and the tokenizer once more.
_OTHERS = ("tokenizer.chat_template", "tokenizer.chat_templates", "tokenizer.huggingface.json")
_NAMED = "tokenizer.chat_template."
#: Architectures whose files are older than `tokenizer.ggml.pre`, and that know one way only.
_OLD = {"gpt2": "gpt-2", "gptj": "gpt-2"}
#: What SentencePiece's files may leave unsaid.
_IDS = {"llama": {"bos": 1, "eos": 2, "unknown": 0}, "t5": {"eos": 1, "unknown": 2, "padding": 0}}
#: What stands for no token where a file has a 32-bit field for one.
_NO_ID = (-1, 2**32 - 1)
_ADDED = (PieceKind.CONTROL, PieceKind.USER_DEFINED)


class Vocabulary:
    """The tokenizer fields of a GGUF file. Raises ModelError for what is not supported."""

    def __init__(self, header: Header) -> None:
        self._fields = header.fields
        self._path = str(header.path)
        kind = self._fields.get("tokenizer.ggml.model")
        if kind not in _KINDS:
            what, known = _OTHER_KINDS.get(str(kind), shown(kind)), ", ".join(_KINDS)
            raise self._error(f"has a {what} tokenizer, which is not supported ({known} are)")
        self._model = str(kind)
        for key, value in self._fields.items():
            if not self._is_known(key, value):
                raise self._error(f"{key} is not supported")
        self._way = self._splitting() if kind == "gpt2" else None
        self.tokens = self._list("tokens", str)
        self.types = [self._kind(at) for at in self._list("token_type", int, len(self.tokens))]
        if not self.tokens or len(set(self.tokens)) != len(self.tokens):
            raise self._error("has an empty vocabulary or a token twice")
        begins = kind == "llama" or (self._way is not None and self._way.begins)
        self.begins = self._flag("add_bos_token", begins)

    def id(self, name: str) -> int | None:
        """The id in `tokenizer.ggml.<name>_token_id`, None where the file has none."""
        found = self._fields.get(f"tokenizer.ggml.{name}_token_id")
        if found in _NO_ID:
            found = None
        if found is None:
            found = _IDS.get(self._model, {}).get(name)
        if found is None:
            return None
        return self._checked(found, name)

    def text(self, name: str) -> str | None:
        """The text of the token that `id(name)` gives."""
        found = self.id(name)
        return None if found is None else self.tokens[found]

    @property
    def chat_template(self) -> str | None:
        """The Jinja source of the chat template."""
        found = self._fields.get("tokenizer.chat_template")
        if found is not None and not isinstance(found, str):
            raise self._error(f"tokenizer.chat_template is {shown(found)}, not a text")
        return found

    def ends(self) -> list[int]:
        """The ids that end a completion, the EOS token first."""
        named = [self.id(name) for name in ("eos", "eot", "eom")]
        more = [self._checked(each, "eos") for each in self._ids("eos_token_ids")]
        marks = {self.tokens[at]: at for at, kind in enumerate(self.types) if kind in _ADDED}
        known = [marks[text] for text in end_tokens.among(marks)]
        return list(dict.fromkeys(end for end in (*named, *more, *known) if end is not None))

    def suppressed(self) -> dict[str, list[int]]:
        """`suppress_tokens` of generation_config.json, where the file has tokens never to draw."""
        size = len(self.tokens)
        found = [at for at in self._ids("suppress_tokens") if 0 <= at < size]
        return {"suppress_tokens": found} if found else {}

    def tokenizer(self) -> dict[str, Any]:
        """tokenizer.json as a dict, checked to give each token the id it has in the file."""
        begin = None
        if self.begins:
            at = self.id("bos")
            if at is None:
                raise self._error("begins texts with a BOS token that it does not name")
            begin = self.tokens[at], at
        try:
            if self._way is None:
                return self._pieces(begin)
            return self._byte_level(self._way, begin)
        except UnfitError as error:
            raise self._error(f"its tokenizer cannot be rebuilt: {error}") from None

    def config(self, context: int) -> dict[str, Any]:
        """tokenizer_config.json as a dict; `context` is the model's, in tokens."""
        parts_of = {"bos": "bos", "eos": "eos", "unk": "unknown", "pad": "padding"}
        tokens = {f"{short}_token": self.text(name) for short, name in parts_of.items()}
        found: dict[str, Any] = {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "add_bos_token": self.begins,
            "add_eos_token": self._flag("add_eos_token", False),
            "add_prefix_space": self._prefixed,
            "clean_up_tokenization_spaces": False,
            "model_max_length": context,
            **{name: text for name, text in tokens.items() if text is not None},
        }
        if self.chat_template is not None:
            found["chat_template"] = self.chat_template
        return found

    def _is_known(self, key: str, value: object) -> bool:
        name = key.removeprefix("tokenizer.ggml.")
        if name == key:
            ours = not key.startswith("tokenizer.")
            return ours or key in _OTHERS or key.startswith(_NAMED) or not value
        return (
            name in _KNOWN
            or name.endswith(("_token_id", "_token_ids"))
            or (name in _NORMALISING and self._model == "t5")
            or (name in _OFF | _NORMALISING and not value)
        )

    def _checked(self, token: object, name: str) -> int:
        if isinstance(token, bool) or not isinstance(token, int):
            raise self._error(f"the {name} token is {shown(token)}, not an id")
        if not 0 <= token < len(self.tokens):
            raise self._error(f"the {name} token is {token}, outside its vocabulary")
        return token

    def _ids(self, key: str) -> list[int]:
        """A list of ids, empty where the file has none."""
        return self._list(key, int) if f"tokenizer.ggml.{key}" in self._fields else []

    @property
    def _prefixed(self) -> bool:
        return self._flag("add_space_prefix", self._model == "llama")

    def _splitting(self) -> Splitting:
        arch = self._fields.get("general.architecture")
        pre = self._fields.get("tokenizer.ggml.pre", _OLD.get(str(arch)))
        if pre is None:
            raise self._error(
                "does not say how text is split before merging (tokenizer.ggml.pre): "
                "it was made by too old a converter"
            )
        if not isinstance(pre, str) or pre not in WAYS:
            known = ", ".join(sorted(WAYS))
            raise self._error(f"splits text the {shown(pre)} way; supported are {known}")
        return WAYS[pre]

    def _pieces(self, begin: tuple[str, int] | None) -> dict[str, Any]:
        merges = None
        if self._model == "gemma4":
            scores = [0.0] * len(self.tokens)
            merges = [(one, two) for one, two in map(self._pair, self._list("merges", str))]
        else:
            scores = self._list("scores", float, len(self.tokens))
        found = [Piece(*piece) for piece in zip(self.tokens, scores, self.types, strict=True)]
        rules = PieceRules(
            "all" if self._prefixed else "none",
            squeeze=self._flag("remove_extra_whitespaces", False),
            character_map=self._character_map(),
            unigram=self._model == "t5",
        )
        return pieces.tokenizer(found, rules, begin=begin, merges=merges)

    def _character_map(self) -> str | None:
        """SentencePiece's table of letters, in base64, where the file has one."""
        if "tokenizer.ggml.precompiled_charsmap" not in self._fields:
            return None
        found = self._list("precompiled_charsmap", int)
        if not all(0 <= byte < 256 for byte in found):
            raise UnfitError("its table of letters has numbers that are no bytes")
        table = bytes(found)
        if table:
            bounds.longest_replacement(table)
        return base64.b64encode(table).decode() if table else None

    def _byte_level(self, way: Splitting, begin: tuple[str, int] | None) -> dict[str, Any]:
        if self._prefixed:
            raise UnfitError("tokenizer.ggml.add_space_prefix is not supported")
        inside = len(self.tokens)
        # Added tokens at the end stay out of the model, as in the originals: a model that looks
        # whole words up first (Llama 3) could otherwise make one out of plain text.
        while inside and self.types[inside - 1] in _ADDED:
            inside -= 1
        added = [
            parts.added(at, self.tokens[at], special=kind is PieceKind.CONTROL)
            for at, kind in enumerate(self.types)
            if kind in _ADDED
        ]
        vocab = {token: at for at, token in enumerate(self.tokens[:inside])}
        merges = [self._pair(merge) for merge in self._list("merges", str)]
        return byte_level.tokenizer(vocab, merges, way, added=added, begin=begin)

    def _flag(self, key: str, default: bool) -> bool:
        found = self._fields.get(f"tokenizer.ggml.{key}", default)
        if not isinstance(found, bool):
            raise self._error(f"tokenizer.ggml.{key} is {shown(found)}, not true or false")
        return found

    def _kind(self, number: int) -> PieceKind:
        try:
            return PieceKind(number)
        except ValueError:
            raise self._error(f"tokenizer.ggml.token_type has the unknown type {number}") from None

    def _list(self, key: str, kind: type, length: int | None = None) -> list[Any]:
        found = self._fields.get(f"tokenizer.ggml.{key}")
        if not isinstance(found, list) or not all(type(item) is kind for item in found):
            raise self._error(f"tokenizer.ggml.{key} is missing or of the wrong type")
        if length is not None and len(found) != length:
            raise self._error(f"tokenizer.ggml.{key} has {len(found)} entries, not {length}")
        return found

    def _pair(self, merge: str) -> list[str]:
        one, space, two = merge.partition(" ")
        if not (one and space and two) or " " in two:
            raise self._error(f"the merge {shown(merge)} is not two tokens")
        return [one, two]

    def _error(self, reason: str) -> ModelError:
        return ModelError(self._path, reason)
