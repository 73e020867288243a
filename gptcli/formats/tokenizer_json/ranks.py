"""tiktoken's files: a token's bytes in base64 and its rank, which is its id, a line.

    IQ== 0
    Ig== 1

Of the neighbours in a word those are joined whose union ranks first, whatever pair they are; so
every pair that makes a token gets the token's rank. How a text is split before that is code
elsewhere, and known here by the tokenizer's class, the model's type or the file's name.
https://github.com/openai/tiktoken/blob/main/tiktoken/load.py, src/lib.rs
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Collection, Mapping

from gptcli.formats.tokenizer_json import byte_level, parts
from gptcli.formats.tokenizer_json.byte_letters import spelled
from gptcli.formats.tokenizer_json.parts import Part, UnfitError
from gptcli.formats.tokenizer_json.settings import TokenizerSettings
from gptcli.formats.tokenizer_json.splitting import WAYS

_LINE = re.compile(rb"[A-Za-z0-9+/]+={0,2} [0-9]{1,7}\r?")
#: Tokens, and the squares of their lengths in all, of which each is cut in two everywhere.
_TOKENS, _CUTS = 1 << 20, 1 << 28
#: What a model may have beyond its tokenizer's last token.
_BEYOND = 1 << 12
#: tokenizer_class, model_type or a name of a file → the way that it splits (`splitting.WAYS`).
_WAYS = {
    "TikTokenTokenizer": "kimi-k2",
    **dict.fromkeys(("kimi_k2", "kimi_k25", "kimi_linear", "kimi_vl", "kimi_vl_text"), "kimi-k2"),
    **dict.fromkeys(("QWenTokenizer", "HYTokenizer", "qwen", "hunyuan"), "qwen2"),
    **dict.fromkeys(("qwen.tiktoken", "hy.tiktoken"), "qwen2"),
    **dict.fromkeys(("ChatGLM4Tokenizer", "chatglm"), "chatglm-bpe"),
    **dict.fromkeys(("llama", "mllama"), "llama-bpe"),
    **dict.fromkeys(("llama4", "llama4_text"), "llama4"),
    "gpt_oss": "gpt-4o",
    "cl100k_base.tiktoken": "chatglm-bpe",
    **dict.fromkeys(("o200k_base.tiktoken", "o200k_harmony.tiktoken"), "gpt-4o"),
    **dict.fromkeys(("r50k_base.tiktoken", "p50k_base.tiktoken", "gpt2.tiktoken"), "gpt-2"),
}


def is_ranks(data: bytes) -> bool:
    """Whether a file is of this kind, by its first line."""
    return _LINE.fullmatch(data[:4096].partition(b"\n")[0]) is not None


def way_of(name: str, kind: str | None, model: str | None) -> str:
    """The way that a file's texts are split; kind: the tokenizer's class, model: the model's type.

    Raises UnfitError where none of the three is known.
    """
    for each in (kind, model, name):
        if each in _WAYS:
            return _WAYS[each]
    raise UnfitError(
        "how it splits a text is said by code that is not run: neither the tokenizer_class "
        f"({kind}) nor the model_type ({model}) nor the file's name is known"
    )


def tokenizer(data: bytes, way: str, settings: TokenizerSettings) -> Part:
    """tokenizer.json as a dict, of a file's bytes and of the tokens that `settings` add.

    Ids below the last one that nobody names become `<|reserved_token_N|>`, as Kimi's code has it.
    Raises UnfitError.
    """
    ranks = _parsed(data)
    added = dict(settings.added)
    tokens = {at: spelled(token) for token, at in ranks.items()}
    twice = next((at for at in added if at in tokens), None)
    if twice is not None:
        raise UnfitError(f"the added token {added[twice]['content']!r} has the id of another")
    last = max(*tokens, *added)
    if last >= len(tokens) + len(added) + _BEYOND:
        raise UnfitError("token ids have gaps")
    for at in range(last):
        if at not in tokens and at not in added:
            added[at] = parts.added(at, f"<|reserved_token_{at}|>", special=True)
    inside = max(tokens)
    vocab = tokens | {at: str(added[at]["content"]) for at in added if at < inside}
    return byte_level.tokenizer(
        {text: at for at, text in sorted(vocab.items())},
        _merges(ranks),
        WAYS[way],
        added=list(added.values()),
        whole_words=True,
        begin=_begin(settings, added, begins=WAYS[way].begins),
    )


def _begin(
    settings: TokenizerSettings, added: Mapping[int, Part], *, begins: bool
) -> tuple[str, int] | None:
    named = settings.named.get("bos_token")
    said = settings.flag("add_bos_token")
    if not (begins if said is None else said) or named is None:
        return None
    at = next((at for at, token in added.items() if token["content"] == named), None)
    return None if at is None else (named, at)


def _parsed(data: bytes) -> dict[bytes, int]:
    """Tokens and their ranks, in the order of these."""
    lines = [line for line in data.split(b"\n") if line.strip()]
    if len(lines) > _TOKENS:
        raise UnfitError(f"it has more than {_TOKENS} tokens")
    found: dict[bytes, int] = {}
    for line in lines:
        if not _LINE.fullmatch(line):
            raise UnfitError(f"the line {line[:40]!r} is no token in base64 and its rank")
        text, _, rank = line.partition(b" ")
        try:
            found[base64.b64decode(text, validate=True)] = int(rank)
        except binascii.Error:
            raise UnfitError(f"{text[:40]!r} is not base64") from None
    if len(found) != len(lines) or len(set(found.values())) != len(found):
        raise UnfitError("a token or a rank appears twice")
    missing = next((byte for byte in range(256) if bytes([byte]) not in found), None)
    if missing is not None:
        raise UnfitError(f"it has no token for the byte {missing}")
    if sum(len(token) ** 2 for token in found) > _CUTS:
        raise UnfitError(f"its tokens are too long: one has {max(map(len, found))} bytes")
    return dict(sorted(found.items(), key=lambda each: each[1]))


def _merges(ranks: Mapping[bytes, int]) -> list[tuple[str, str]]:
    """Every pair that makes a token, by rank; of a token's pairs those of early tokens first."""
    found: list[tuple[str, str]] = []
    for token in ranks:
        pairs = [
            (ranks[token[:cut]], ranks[token[cut:]], cut)
            for cut in range(1, len(token))
            if token[:cut] in ranks and token[cut:] in ranks
        ]
        found += [(spelled(token[:cut]), spelled(token[cut:])) for _, _, cut in sorted(pairs)]
    return found


def sources(names: Collection[str]) -> tuple[str, ...]:
    """The one file of a directory that is of this kind by its name; none where there are two."""
    found = sorted(each for each in names if each.endswith(".tiktoken") and "/" not in each)
    named = "tiktoken.model"
    if named in names:
        return (named,)
    return tuple(found) if len(found) == 1 else ()
