"""tokenizer.json, rebuilt from the vocabulary and merges that a GGUF file carries.

Only byte-level BPE (`tokenizer.ggml.model` = gpt2) is supported; `tokenizer.ggml.pre` names how
text is split before merging. Format: https://huggingface.co/docs/tokenizers.
"""

from __future__ import annotations

from typing import Any

from gptcli.errors import ModelError
from gptcli.models.gguf.header import Header

#: `tokenizer.ggml.token_type`: what kind of token an id is.
_CONTROL, _USER_DEFINED = 3, 4
_LLAMA3_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def _byte_level(use_regex: bool) -> dict[str, Any]:
    return {
        "type": "ByteLevel",
        "add_prefix_space": False,
        "trim_offsets": True,
        "use_regex": use_regex,
    }


def _sequence(first: dict[str, Any], use_regex: bool) -> dict[str, Any]:
    return {"type": "Sequence", "pretokenizers": [first, _byte_level(use_regex)]}


#: `tokenizer.ggml.pre` → the pre-tokenizer that it stands for.
PRE_TOKENIZERS = {
    "gpt-2": _byte_level(True),
    "smollm": _sequence({"type": "Digits", "individual_digits": True}, True),
    "llama-bpe": _sequence(
        {
            "type": "Split",
            "pattern": {"Regex": _LLAMA3_SPLIT},
            "behavior": "Isolated",
            "invert": False,
        },
        False,
    ),
}
_NEVER = ("tokenizer.ggml.add_eos_token", "tokenizer.ggml.normalizer.lowercase")


class Vocabulary:
    """The tokenizer fields of a GGUF file. Raises ModelError for what is not supported."""

    def __init__(self, header: Header) -> None:
        self._fields = header.fields
        self._path = str(header.path)
        kind = self._fields.get("tokenizer.ggml.model")
        if kind != "gpt2":
            what = {"llama": "SentencePiece", "bert": "WordPiece"}.get(str(kind), repr(kind))
            raise self._error(f"has a {what} tokenizer; only byte-level BPE is supported")
        # llama.cpp's own default for files from before the field existed.
        self.pre = self._fields.get("tokenizer.ggml.pre", "gpt-2")
        if self.pre not in PRE_TOKENIZERS:
            known = ", ".join(PRE_TOKENIZERS)
            raise self._error(f"splits text the {self.pre!r} way; supported are {known}")
        for key in _NEVER:
            if self._fields.get(key):
                raise self._error(f"{key} is not supported")
        self.tokens = self._list("tokens", str)
        self.types = self._list("token_type", int, len(self.tokens))
        self.merges = [self._pair(merge) for merge in self._list("merges", str)]
        if not self.tokens or len(set(self.tokens)) != len(self.tokens):
            raise self._error("has an empty vocabulary or a token twice")

    def id(self, name: str) -> int | None:
        """The id in `tokenizer.ggml.<name>_token_id`, None where the file has none."""
        found = self._fields.get(f"tokenizer.ggml.{name}_token_id")
        if found is None:
            return None
        if isinstance(found, bool) or not isinstance(found, int):
            raise self._error(f"the {name} token is {found!r}, not an id")
        if not 0 <= found < len(self.tokens):
            raise self._error(f"the {name} token is {found}, outside its vocabulary")
        return found

    def text(self, name: str) -> str | None:
        """The text of the token that `id(name)` gives."""
        found = self.id(name)
        return None if found is None else self.tokens[found]

    @property
    def adds_bos(self) -> bool:
        """Whether every text begins with the BOS token; Llama 3's files may leave it unsaid."""
        return bool(self._fields.get("tokenizer.ggml.add_bos_token", self.pre == "llama-bpe"))

    @property
    def chat_template(self) -> str | None:
        """The Jinja source of the chat template."""
        found = self._fields.get("tokenizer.chat_template")
        return found if isinstance(found, str) else None

    def ends(self) -> list[int]:
        """The ids that end a completion, the EOS token first."""
        found = [self.id("eos"), self.id("eot"), self.id("eom")]
        if self.pre == "llama-bpe" and "<|eot_id|>" in self.tokens:
            # llama.cpp knows this one by its text, so its files need not name it.
            found.append(self.tokens.index("<|eot_id|>"))
        return list(dict.fromkeys(end for end in found if end is not None))

    def tokenizer(self) -> dict[str, Any]:
        """tokenizer.json as a dict, checked to give each added token the id it has in the file."""
        added = [self._added(at) for at, kind in enumerate(self.types) if kind in _ADDED]
        inside = len(self.tokens)
        # Added tokens at the end stay out of the model, as in the originals: a model that looks
        # whole words up first (Llama 3) could otherwise make one out of plain text.
        while inside and self.types[inside - 1] in _ADDED:
            inside -= 1
        found = {
            "version": "1.0",
            "truncation": None,
            "padding": None,
            "added_tokens": added,
            "normalizer": None,
            "pre_tokenizer": PRE_TOKENIZERS[self.pre],
            "post_processor": self._template() if self.adds_bos else None,
            "decoder": _byte_level(True),
            "model": {
                "type": "BPE",
                "dropout": None,
                "unk_token": None,
                "continuing_subword_prefix": None,
                "end_of_word_suffix": None,
                "fuse_unk": False,
                "byte_fallback": False,
                "ignore_merges": self.pre == "llama-bpe",
                "vocab": {token: at for at, token in enumerate(self.tokens[:inside])},
                "merges": self.merges,
            },
        }
        self._check(found)
        return found

    def config(self, context: int) -> dict[str, Any]:
        """tokenizer_config.json as a dict; `context` is the model's, in tokens."""
        names = ("bos", "eos", "unk", "pad")
        tokens = {
            f"{name}_token": self.text("unknown" if name == "unk" else _pad(name)) for name in names
        }
        found: dict[str, Any] = {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "add_bos_token": self.adds_bos,
            "add_prefix_space": False,
            "clean_up_tokenization_spaces": False,
            "model_max_length": context,
            **{name: text for name, text in tokens.items() if text is not None},
        }
        if self.chat_template is not None:
            found["chat_template"] = self.chat_template
        return found

    def _added(self, at: int) -> dict[str, Any]:
        return {
            "id": at,
            "content": self.tokens[at],
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
            "special": self.types[at] == _CONTROL,
        }

    def _template(self) -> dict[str, Any]:
        bos, at = self.text("bos"), self.id("bos")
        if bos is None:
            raise self._error("begins texts with a BOS token that it does not name")
        first, text = {"SpecialToken": {"id": bos, "type_id": 0}}, {"Sequence": _A}
        return {
            "type": "TemplateProcessing",
            "single": [first, text],
            "pair": [first, text, {"SpecialToken": {"id": bos, "type_id": 1}}, {"Sequence": _B}],
            "special_tokens": {bos: {"id": bos, "ids": [at], "tokens": [bos]}},
        }

    def _check(self, found: dict[str, Any]) -> None:
        import json

        from tokenizers import Tokenizer

        try:
            built = Tokenizer.from_str(json.dumps(found))
        except Exception as error:  # the library raises nothing narrower
            raise self._error(f"its tokenizer cannot be rebuilt: {error}") from None
        added = found["added_tokens"]
        wrong = [token for token in added if built.token_to_id(token["content"]) != token["id"]]
        if wrong or built.get_vocab_size() != len(self.tokens):
            raise self._error("its tokenizer cannot be rebuilt: token ids have gaps")

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
            raise self._error(f"the merge {merge!r} is not two tokens")
        return [one, two]

    def _error(self, reason: str) -> ModelError:
        return ModelError(self._path, reason)


_ADDED = (_CONTROL, _USER_DEFINED)
_A, _B = {"id": "A", "type_id": 0}, {"id": "B", "type_id": 1}


def _pad(name: str) -> str:
    return "padding" if name == "pad" else name
