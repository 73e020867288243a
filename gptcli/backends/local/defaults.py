"""What a model's own files say about how to use it: sampling, and where a text ends."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from gptcli.backends.local.generation_config import GenerationConfig, ids_in
from gptcli.backends.local.generation_fields import SAMPLING
from gptcli.engine.model.config_fields import ConfigFields
from gptcli.errors import InputError
from gptcli.text.breakers import Breaks, breaks
from gptcli.text.tokenizer import Tokenizer
from gptcli.text.turn_ends import turn_ends
from gptcli.types.events import Notice
from gptcli.types.samplers import NO_BREAKERS, OFF
from gptcli.types.sampling import NUMBERS, Sampling, SamplingWish

#: Where neither the user nor the model says anything. The low min-p takes away the tail of rare
#: tokens, with which a small model loses its thread.
DEFAULT_TEMPERATURE = 0.8
DEFAULT_MIN_P = 0.05
#: How gently what was generated lately is kept from coming again and again.
DEFAULT_REPEAT_PENALTY, DEFAULT_REPEAT_LAST = 1.05, 256
#: What a user can say about repeating, each of which takes the place of the gentle default.
_REPEATING = ("repeat_penalty", "presence_penalty", "frequency_penalty", "dry_multiplier")
#: Sets of sequence breakers that are remembered: a server is asked for many.
_KEPT_BREAKS = 8


class ModelDefaults:
    """What generation_config.json says, and where that is silent config.json."""

    def __init__(self, directory: Path, config: ConfigFields, tokenizer: Tokenizer) -> None:
        self._generation = GenerationConfig(directory, config)
        self._config, self._tokenizer = config, tokenizer
        self._found_breaks: dict[tuple[str, ...], Breaks] = {}

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
        silent = not any(map(self._generation.speaks, SAMPLING))
        if self._generation.get("do_sample") is False:
            found["temperature"] = 0
        elif silent:
            found["min_p"] = DEFAULT_MIN_P
        found |= {name: getattr(wish, name) for name in NUMBERS if getattr(wish, name) is not None}
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
        if wish.dry_sequence_breakers:
            said = wish.dry_sequence_breakers
            known["dry_sequence_breakers"] = () if said == NO_BREAKERS else said
        settled = Sampling(logit_bias=biases, rules=rules, banned=wish.ban, **known)
        if wish.samplers:
            settled = replace(settled, samplers=wish.samplers, **_off(settled, wish.samplers))
        if not settled.dry:
            return settled
        return replace(settled, dry_breaks=self._breaks(settled.dry_sequence_breakers, vocab))

    def _breaks(self, texts: tuple[str, ...], vocab: int) -> Breaks:
        """The breakers in ids, found once: every token is looked at."""
        if texts not in self._found_breaks:
            if len(self._found_breaks) >= _KEPT_BREAKS:
                self._found_breaks.clear()
            self._found_breaks[texts] = breaks(self._tokenizer, texts, vocab)
        return self._found_breaks[texts]

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


def _off(settled: Sampling, used: Collection[str]) -> dict[str, Any]:
    """What turns off the samplers that are not used; the most probable token stays what it is."""
    found: dict[str, Any] = {}
    for name in OFF.keys() - set(used):
        found |= OFF[name]
    if settled.temperature == 0:
        found.pop("temperature", None)
    return found


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
