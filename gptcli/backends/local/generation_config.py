"""generation_config.json, whole: what is not obeyed is refused by name, or told."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gptcli.backends.local.generation_fields import (
    FILTERS,
    IDLE,
    LEFT_OUT,
    OTHERS,
    REFUSED,
    RULES,
    SAMPLING,
    WAYS,
    WHOLE,
)
from gptcli.config import option_of
from gptcli.engine.model.config_fields import ConfigFields
from gptcli.errors import ModelError
from gptcli.formats import json as jsonfile
from gptcli.types.events import Notice
from gptcli.types.rules import NO_RULES, Rules
from gptcli.types.sampling import SamplingWish

NAME = "generation_config.json"
_MOST_RULES = 1 << 16


class GenerationConfig:
    """What the file says. Rules stand in config.json where there is no such file, as they once did.

    Raises ModelError for what cannot be, as soon as it is asked for.
    """

    def __init__(self, directory: Path, config: ConfigFields) -> None:
        self._path = directory / NAME
        found = self._path.exists()
        self._values = jsonfile.read(self._path) if found else {}
        self._rules = ConfigFields(str(self._path), self._values) if found else config

    def get(self, name: str) -> Any:
        """A raw value, None where it is absent or null."""
        return self._values.get(name)

    def notices(self) -> Iterator[Notice]:
        """What is not known here, and so left out."""
        known = {*SAMPLING, *RULES, *OTHERS, *REFUSED, *LEFT_OUT}
        unknown = [each for each in self._values if each not in known and not each.startswith("_")]
        if unknown:
            more = f" and {len(unknown) - 3} more" if len(unknown) > 3 else ""
            names = ", ".join(repr(name[:40]) for name in unknown[:3])
            yield Notice(str(self._path), f"leaves out what is not known: {names}{more}")

    def number(self, theirs: str) -> float | int | None:
        """A setting of the sampler, as its own option would take it."""
        value = self._values.get(theirs)
        if value is None:
            return None
        ours = SAMPLING[theirs]
        value = self._finite(theirs, value)
        if theirs == "top_k" and value == -1:
            # Off, as vLLM and llama.cpp, for which some files are written, spell it.
            return 0
        limit = option_of(SamplingWish, ours).limit
        reason = limit.reason(value) if limit else None
        if reason:
            raise self._rules.bad(theirs, reason)
        return int(value) if ours in WHOLE else value

    def speaks(self, theirs: str) -> bool:
        """Whether a setting of the sampler is said that changes anything."""
        value = self._values.get(theirs)
        idle = theirs in IDLE and IDLE[theirs] in (None, value)
        return value is not None and not idle

    def end_ids(self) -> list[int]:
        """The tokens that end a text; none where it does not say."""
        return ids_in(self._values.get("eos_token_id"))

    def stop_strings(self) -> tuple[str, ...]:
        """Texts that end a text."""
        value = self._rules.get("stop_strings")
        found = [value] if isinstance(value, str) else value or []
        if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
            raise self._rules.bad("stop_strings", f"must be texts, not {_short(value)}")
        return tuple(each for each in found if each)

    def rules(
        self, ends: frozenset[int], vocab: int, *, greedy: bool = False, chosen: bool = False
    ) -> Rules:
        """The rules; tokens without a logit, from `vocab` on, cannot come anyway.

        greedy: the most probable token is taken each time; chosen: the user says how to draw.
        Raises ModelError for what changes the text and is not done here.
        """
        idle = set(WAYS if chosen else FILTERS if greedy else ())
        if self._values.get("do_sample") is True:
            # Contrastive search is what transformers does in place of greedy search only.
            idle.add("penalty_alpha")
        for name, harmless in REFUSED.items():
            value = None if name in idle else self._rules.get(name)
            if value is not None and not any(_same(value, each) for each in harmless):
                hint = "a copy of the model without it there can be used"
                hint = "--temperature says how to draw instead" if name in WAYS else hint
                raise ModelError(
                    self._rules.subject, f"{name!r} {_short(value)} is not supported", hint
                )
        on = tuple(name for name in RULES if self._rules.get(name) is not None)
        if not on:
            return NO_RULES
        forbidden = self._sequences("bad_words_ids", vocab)
        start = self._rules.get("exponential_decay_length_penalty")
        found = Rules(
            names=on,
            forbidden=self._ids("suppress_tokens", vocab),
            forbidden_first=self._ids("begin_suppress_tokens", vocab),
            # An end is no bad word.
            forbidden_sequences=tuple(
                ids for ids in forbidden if len(ids) > 1 or ids[0] not in ends
            ),
            biases=self._biases(vocab),
            prompt_penalty=self._positive("encoder_repetition_penalty"),
            no_repeat=self._count("no_repeat_ngram_size"),
            least=self._count("min_length"),
            least_new=self._count("min_new_tokens"),
            ending=None if start is None else self._ending(start),
            ends=tuple(sorted(each for each in ends if each < vocab)),
        )
        return found if found.favours or found.restrict else NO_RULES

    def _ids(self, name: str, vocab: int) -> tuple[int, ...]:
        value = self._rules.get(name)
        return self._of_vocabulary(name, [] if value is None else value, vocab)

    def _of_vocabulary(self, name: str, value: object, vocab: int) -> tuple[int, ...]:
        if not isinstance(value, list) or len(value) > _MOST_RULES:
            raise self._rules.bad(name, f"must be a list of ids, not {_short(value)}")
        if not all(type(each) is int for each in value):
            raise self._rules.bad(name, f"must have ids of tokens, not {_short(value)}")
        # -1 is nobody's id.
        return tuple(each for each in value if 0 <= each < vocab)

    def _sequences(self, name: str, vocab: int) -> tuple[tuple[int, ...], ...]:
        value = self._rules.get(name) or []
        if not isinstance(value, list) or len(value) > _MOST_RULES:
            raise self._rules.bad(name, f"must be lists of ids, not {_short(value)}")
        found = [(each, self._of_vocabulary(name, each, vocab)) for each in value]
        return tuple(ids for given, ids in found if ids and len(ids) == len(given))

    def _biases(self, vocab: int) -> tuple[tuple[tuple[int, ...], float], ...]:
        name = "sequence_bias"
        value = self._rules.get(name) or []
        if not isinstance(value, list) or len(value) > _MOST_RULES:
            raise self._rules.bad(name, f"must be pairs of ids and a number, not {_short(value)}")
        found = []
        for pair in value:
            if not isinstance(pair, list) or len(pair) != 2:
                raise self._rules.bad(
                    name, f"must be pairs of ids and a number, not {_short(pair)}"
                )
            ids = self._of_vocabulary(name, pair[0], vocab)
            amount = self._finite(name, pair[1])
            if abs(amount) > 1e30:
                raise self._rules.bad(name, f"must be from -1e30 to 1e30, not {amount:g}")
            if ids and len(ids) == len(pair[0]):
                found.append((ids, float(amount)))
        return tuple(found)

    def _positive(self, name: str) -> float:
        value = self._rules.get(name)
        found = 1.0 if value is None else float(self._finite(name, value))
        if not 1e-30 <= found <= 1e30:
            raise self._rules.bad(name, f"must be above 0, not {found:g}")
        return found

    def _count(self, name: str) -> int:
        value = self._rules.get(name)
        if value is not None and (type(value) is not int or not 0 <= value < 2**31):
            raise self._rules.bad(name, f"must be a number of tokens, not {_short(value)}")
        return value or 0

    def _ending(self, value: object) -> tuple[int, float]:
        name = "exponential_decay_length_penalty"
        if not isinstance(value, list) or len(value) != 2 or type(value[0]) is not int:
            raise self._rules.bad(
                name, f"must be a number of tokens and a factor, not {_short(value)}"
            )
        factor = self._finite(name, value[1])
        if not 0 < factor <= 1e30:
            raise self._rules.bad(name, f"must have a factor above 0, not {factor:g}")
        return value[0], float(factor)

    def _finite(self, name: str, value: object) -> float | int:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise self._rules.bad(name, f"must be a number, not {_short(value)}")
        if not abs(value) < 1e300 or not math.isfinite(value):
            raise self._rules.bad(name, "must be a number that is not so large")
        return value


def ids_in(value: object) -> list[int]:
    """The ids of a field that has one or several of them."""
    found = value if isinstance(value, list) else [value]
    return [each for each in found if type(each) is int]


def _same(value: object, other: object) -> bool:
    """As numbers are, though not 1 and true."""
    return isinstance(value, bool) == isinstance(other, bool) and value == other


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
