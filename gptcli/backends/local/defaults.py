"""What a model's own files say about how to use it: sampling, and where a text ends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gptcli.config import option_of
from gptcli.engine.model.config_fields import ConfigFields
from gptcli.errors import InputError, ModelError
from gptcli.formats import json as jsonfile
from gptcli.text.tokenizer import Tokenizer
from gptcli.types.sampling import Sampling, SamplingWish

#: Where neither the user nor the model says anything. The low min-p takes away the tail of rare
#: tokens, with which a small model loses its thread.
DEFAULT_TEMPERATURE = 0.8
DEFAULT_MIN_P = 0.05
#: generation_config.json's names for ours.
_NAMES = {
    "temperature": "temperature",
    "top_k": "top_k",
    "top_p": "top_p",
    "min_p": "min_p",
    "repetition_penalty": "repeat_penalty",
}
_WHOLE = {"top_k"}


class ModelDefaults:
    """What generation_config.json says, and where that is silent config.json."""

    def __init__(self, directory: Path, config: ConfigFields) -> None:
        self._path = directory / "generation_config.json"
        self._generation = jsonfile.read(self._path) if self._path.exists() else {}
        self._config = config

    def sampling(self, wish: SamplingWish, tokenizer: Tokenizer, vocab: int) -> Sampling:
        """The wish, its gaps filled by generation_config.json, else by temperature 0.8, min-p 0.05.

        `vocab` is how many tokens have a logit, which a bias can be added to.
        A model that says anything about sampling has its own filters, so min-p stays off there.
        One that says `do_sample: false` wants its most probable text: temperature 0.
        """
        found = {ours: self._number(theirs, ours) for theirs, ours in _NAMES.items()}
        if self._generation.get("do_sample") is False:
            found["temperature"] = 0
        elif all(value is None for value in found.values()):
            found["min_p"] = DEFAULT_MIN_P
        for name in (*_NAMES.values(), "presence_penalty", "frequency_penalty"):
            if getattr(wish, name) is not None:
                found[name] = getattr(wish, name)
        known: dict[str, Any] = {name: value for name, value in found.items() if value is not None}
        known.setdefault("temperature", DEFAULT_TEMPERATURE)
        biases = tuple(
            (_token_id(name, tokenizer, vocab), amount) for name, amount in wish.logit_bias
        )
        return Sampling(logit_bias=biases, **known)

    def end_ids(self, tokenizer: Tokenizer) -> frozenset[int]:
        """Tokens that end a text: generation_config.json's, else config.json's, else the text of
        tokenizer_config.json's end token.
        """
        for value in (self._generation.get("eos_token_id"), self._config.get("eos_token_id")):
            ids = value if isinstance(value, list) else [value]
            found = [i for i in ids if isinstance(i, int) and not isinstance(i, bool)]
            if found:
                return frozenset(found)
        end = tokenizer.id_of(tokenizer.end_text)
        return frozenset() if end is None else frozenset([end])

    def _number(self, theirs: str, ours: str) -> float | int | None:
        value = self._generation.get(theirs)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise ModelError(str(self._path), f"{theirs!r} must be a number, not {value!r}")
        limit = option_of(SamplingWish, ours).limit
        reason = limit.reason(value) if limit else None
        if reason:
            raise ModelError(str(self._path), f"{theirs!r} {reason}")
        return int(value) if ours in _WHOLE else value


def _token_id(name: str, tokenizer: Tokenizer, vocab: int) -> int:
    """A token named by its id, or by a text that is one token."""
    if name.isascii() and name.isdecimal():
        # More digits than any vocabulary's ids are not even read.
        token = int(name) if len(name) <= 9 else vocab
        if token < vocab:
            return token
        raise InputError("--logit-bias", f"there is no token {name[:12]}, the last is {vocab - 1}")
    ids = tokenizer.encode(name, special=True)
    if len(ids) == 1 and ids[0] < vocab:
        return ids[0]
    raise InputError("--logit-bias", f"{name!r} is {len(ids)} tokens ({ids}), name one by its id")
