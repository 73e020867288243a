"""What the files beside a tokenizer say of it, as one answer: names of tokens, tokens, flags.

The order is that of transformers 5 (`PreTrainedTokenizerBase._from_pretrained`): where
tokenizer_config.json lists its added tokens, names are its alone; else special_tokens_map.json is
taken before it. What no file names has the name that the tokenizer's class gives it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from gptcli.formats import files
from gptcli.formats import json as jsonfile
from gptcli.formats.tokenizer_json import parts
from gptcli.formats.tokenizer_json.parts import Part, UnfitError
from gptcli.plain import dataclass

CONFIG, ADDED, NAMES = "tokenizer_config.json", "added_tokens.json", "special_tokens_map.json"
#: Files that say more about a tokenizer than its vocabulary does.
COMPANIONS = (CONFIG, ADDED, NAMES)
#: The parts that a token may have in every model.
PARTS = tuple(f"{part}_token" for part in ("bos", "eos", "unk", "sep", "pad", "cls", "mask"))
_OPTIONS = ("single_word", "lstrip", "rstrip", "normalized")
END_OF_TEXT = "<|endoftext|>"
_BOTH_ENDS = dict.fromkeys(("bos_token", "eos_token", "unk_token"), END_OF_TEXT)
_LLAMA = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
#: tokenizer_class → what its tokens are called where no file says otherwise.
CLASS_NAMES: Mapping[str, Mapping[str, str]] = {
    "GPT2Tokenizer": _BOTH_ENDS,
    "CodeGenTokenizer": _BOTH_ENDS,
    "GPTNeoXTokenizer": _BOTH_ENDS | {"pad_token": "<|padding|>"},
    "LlamaTokenizer": _LLAMA,
    "CodeLlamaTokenizer": _LLAMA,
    **dict.fromkeys(
        ("Qwen2Tokenizer", "Qwen3_5Tokenizer"),
        dict.fromkeys(("eos_token", "unk_token", "pad_token"), END_OF_TEXT),
    ),
    "GemmaTokenizer": {
        f"{part}_token": f"<{part}>" for part in ("bos", "eos", "unk", "pad", "mask")
    },
    "CohereTokenizer": {
        "bos_token": "<BOS_TOKEN>",
        "eos_token": "<|END_OF_TURN_TOKEN|>",
        "unk_token": "<UNK>",
        "pad_token": "<PAD>",
        "cls_token": "<CLS>",
        "sep_token": "<SEP>",
        "mask_token": "<MASK_TOKEN>",
    },
}
#: Classes that put a space before a text, or none, as `add_prefix_space` says.
SPACED_CLASSES = CLASS_NAMES.keys() - {"GemmaTokenizer"}


@dataclass(frozen=True)
class TokenizerSettings:
    """fields: tokenizer_config.json as it is. kind: its class, "Fast" left out.

    named: texts of the tokens that have a part, by the part (`bos_token`, `image_token`); usual:
    those by the class alone. extra: further control tokens. added: tokens by id, as
    `parts.added` has them. disputes: what the files contradict each other in, and which was taken.
    """

    fields: Mapping[str, Any]
    kind: str | None
    named: Mapping[str, str]
    usual: Mapping[str, str]
    extra: tuple[str, ...]
    added: Mapping[int, Part]
    disputes: tuple[str, ...]

    def flag(self, name: str) -> bool | None:
        """A setting that is on or off, None where nothing is said."""
        found = self.fields.get(name)
        return found if isinstance(found, bool) else None

    @property
    def controls(self) -> tuple[str, ...]:
        """The control tokens that the files name, in the order in which transformers adds them."""
        return tuple(dict.fromkeys((*self.named.values(), *self.extra)))


def read(directory: Path) -> dict[str, bytes]:
    """The companions that there are, by name. Raises ModelError for one that cannot be read."""
    return {
        name: files.read(directory / name, jsonfile.CONFIG_LIMIT)
        for name in COMPANIONS
        if (directory / name).exists()
    }


def settings(directory: Path, found: Mapping[str, bytes]) -> TokenizerSettings:
    """What the companions of a directory say. Raises ModelError for one that is no JSON object,
    UnfitError for a token that is described without sense.
    """
    config, old, names = (
        jsonfile.parse(found[name], str(directory / name)) if name in found else {}
        for name in COMPANIONS
    )
    kind = config.get("tokenizer_class")
    kind = kind.removesuffix("Fast") if isinstance(kind, str) else None
    listed = config.get("added_tokens_decoder")
    alone = isinstance(listed, dict)
    layers = [names, config] if alone else [config, names]
    named, disputes = _named(layers, (CONFIG, NAMES) if alone else (NAMES, CONFIG))
    if alone:
        named, layers = _named([config], ())[0], [config]
    extra = tuple(dict.fromkeys(text for layer in layers for text in _extra(layer)))
    usual = {
        part: text
        for part, text in CLASS_NAMES.get(kind or "", {}).items()
        if not any(part in layer for layer in layers)
    }
    added = _old(old, {*named.values(), *usual.values(), *extra})
    if alone:
        ours = _listed(listed or {})
        texts = {token["content"]: at for at, token in ours.items()}
        disputes += [
            f"{ADDED} gives {token['content']!r} the id {at}, {CONFIG} {texts[token['content']]}:"
            f" {CONFIG} is taken"
            for at, token in added.items()
            if texts.get(token["content"], at) != at
        ]
        added = {at: token for at, token in added.items() if token["content"] not in texts} | ours
    return TokenizerSettings(config, kind, named, usual, extra, added, tuple(disputes))


def content(token: Any) -> str | None:
    """A token's text: the token itself, or what an object has of it."""
    if isinstance(token, dict):
        token = token.get("content")
    # A lone surrogate, which JSON can spell, is no text.
    return token if isinstance(token, str) and _is_text(token) else None


def _is_text(text: str) -> bool:
    return not any("\ud800" <= letter <= "\udfff" for letter in text)


def _named(
    layers: list[dict[str, Any]], files: tuple[str, ...]
) -> tuple[dict[str, str], list[str]]:
    """Later layers are taken before earlier ones. files: of the later layer and of the earlier."""
    found: dict[str, str] = {}
    disputes = []
    for layer in layers:
        for part, text in _parts(layer):
            if text is None:
                found.pop(part, None)
                continue
            if found.get(part, text) != text:
                one, other = files
                said = f"{one} calls the {part} {text!r}, {other} {found[part]!r}: {one} is taken"
                disputes.append(said)
            found[part] = text
    return found, disputes


def _parts(layer: dict[str, Any]) -> Iterator[tuple[str, str | None]]:
    for part in PARTS:
        if part in layer:
            yield part, content(layer[part])
    own = layer.get("extra_special_tokens")
    for holder in (layer, own if isinstance(own, dict) else {}):
        for part, token in holder.items():
            if (part.endswith("_token") and part not in PARTS) or holder is own:
                text = content(token)
                if text is not None:
                    yield part, text


def _extra(layer: dict[str, Any]) -> Iterator[str]:
    """`additional_special_tokens` is the older name."""
    own = layer.get("extra_special_tokens")
    if not own:
        own = layer.get("additional_special_tokens")
    for token in own if isinstance(own, list) else ():
        text = content(token)
        if text:
            yield text


def _listed(listed: Mapping[str, Any]) -> dict[int, Part]:
    found: dict[int, Part] = {}
    for key, entry in listed.items():
        text = content(entry)
        # Longer than any id: Python does not even read numbers of thousands of digits.
        number = key.isascii() and key.isdecimal() and len(key) < 10
        if not (number and text and isinstance(entry, dict)):
            raise UnfitError(f"{CONFIG} has an added token that it does not describe")
        options = {name: entry.get(name) is True for name in _OPTIONS}
        found[int(key)] = parts.added(
            int(key), text, special=entry.get("special") is True, **options
        )
    return found


def _old(old: Mapping[str, Any], controls: set[str]) -> dict[int, Part]:
    return {
        at: parts.added(at, text, special=text in controls, normalized=text not in controls)
        for text, at in old.items()
        if type(at) is int and 0 <= at < 10**9 and text and _is_text(text)
    }
