"""What a model's own files say about how to use it: sampling, and where a text ends."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

from gptcli.backends.local.generation_config import GenerationConfig, ids_in
from gptcli.backends.local.generation_fields import SAMPLING
from gptcli.engine.model.config_fields import ConfigFields
from gptcli.errors import InputError
from gptcli.text.tokenizer import Tokenizer
from gptcli.text.turn_ends import turn_ends
from gptcli.types.events import Notice
from gptcli.types.sampling import Sampling, SamplingWish

#: Where neither the user nor the model says anything. The low min-p takes away the tail of rare
#: tokens, with which a small model loses its thread.
DEFAULT_TEMPERATURE = 0.8
DEFAULT_MIN_P = 0.05
#: How gently what was generated lately is kept from coming again and again.
DEFAULT_REPEAT_PENALTY, DEFAULT_REPEAT_LAST = 1.05, 256
#: What a user can say about repeating, each of which takes the place of the gentle default.
_REPEATING = ("repeat_penalty", "presence_penalty", "frequency_penalty")


class ModelDefaults:
    """What generation_config.json says, and where that is silent config.json."""

    def __init__(self, directory: Path, config: ConfigFields, tokenizer: Tokenizer) -> None:
        self._generation = GenerationConfig(directory, config)
        self._config, self._tokenizer = config, tokenizer

    def notices(self) -> Iterator[Notice]:
        """What the files say that is not known here."""
        return self._generation.notices()

    def sampling(self, wish: SamplingWish, vocab: int, ends: Collection[int] = ()) -> Sampling:
        """The wish, its gaps filled by generation_config.json, else by temperature 0.8, min-p 0.05
        and a gentle repeat penalty.

        `vocab` is how many tokens have a logit, which a bias can be added to; `ends` end this text
        beside those of the files.
        A model that says anything about sampling has its own filters, so min-p and the penalty stay
        off there. One that says `do_sample: false` wants its most probable text: temperature 0.
        """
        # What the user says for himself is not looked at there: it may be why he does.
        found = {
            ours: self._generation.number(theirs)
            for theirs, ours in SAMPLING.items()
            if getattr(wish, ours) is None
        }
        silent = all(self._generation.get(theirs) is None for theirs in SAMPLING)
        if self._generation.get("do_sample") is False:
            found["temperature"] = 0
        elif silent:
            found["min_p"] = DEFAULT_MIN_P
        for name in (*SAMPLING.values(), *_REPEATING[1:]):
            if getattr(wish, name) is not None:
                found[name] = getattr(wish, name)
        known: dict[str, Any] = {name: value for name, value in found.items() if value is not None}
        known.setdefault("temperature", DEFAULT_TEMPERATURE)
        if silent and known["temperature"] != 0 and not known.keys() & set(_REPEATING):
            known |= {"repeat_penalty": DEFAULT_REPEAT_PENALTY, "repeat_last": DEFAULT_REPEAT_LAST}
        biases = tuple(
            (_token_id(name, self._tokenizer, vocab), amount) for name, amount in wish.logit_bias
        )
        all_ends, greedy = self.end_ids | frozenset(ends), known["temperature"] == 0
        chosen = wish.temperature is not None
        rules = self._generation.rules(all_ends, vocab, greedy=greedy, chosen=chosen)
        return Sampling(logit_bias=biases, rules=rules, **known)

    @property
    def stops(self) -> tuple[str, ...]:
        """Texts that end a text, beside those of the user."""
        return self._generation.stop_strings()

    @cached_property
    def end_ids(self) -> frozenset[int]:
        """Tokens that end a text: generation_config.json's, else config.json's, else the text of
        tokenizer_config.json's end token; and those that end a turn of the model's.

        Whoever was taught to end a turn so ends a raw text so, too, and has nothing to say after.
        """
        named = (self._generation.end_ids(), ids_in(self._config.get("eos_token_id")))
        end = self._tokenizer.id_of(self._tokenizer.end_text)
        found = next(filter(None, named), [] if end is None else [end])
        return frozenset(found) | turn_ends(self._tokenizer)


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
