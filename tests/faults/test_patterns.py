"""Regular expressions of strangers: matched as Python's would, in a bounded time."""

from __future__ import annotations

import random
import re
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import pytest

from gptcli.engine.model.config_fields import ConfigFields
from gptcli.engine.model.patterns import Budget, Pattern
from gptcli.engine.weights.quantised.fields import is_listed
from gptcli.errors import ModelError
from tests.faults.scale import number

_FIELDS = ConfigFields("config.json", {})
_ATOMS = (
    r"a b . \d \w [ab] [^a] x \. (?:a|b) (a) \b \B (?=a) (?!b) (?<=a) (?<!b) ^ $ (?:ab) a{2} (?:a|)"
)
_ATOMS += r" [a-c_] \s \S \W \D \A \Z (?:a*b)"
_REPEATS = ["", "", "", "*", "+", "?", "*?", "+?", "{1,2}", "{0,3}", "??", "{2,}"]


def _pattern(text: str, budget: Budget | None = None) -> Pattern:
    return Pattern(_FIELDS, "target_modules", text, budget or Budget())


def _random(rng: random.Random, depth: int = 0) -> str:
    found = ""
    for _ in range(rng.randint(1, 3)):
        if depth < 2 and rng.random() < 0.3:
            other = f"|{_random(rng, depth + 1)}" if rng.random() < 0.5 else ""
            atom = f"(?:{_random(rng, depth + 1)}{other})"
        else:
            atom = rng.choice(_ATOMS.split())
        bare = atom in ("^", "$", r"\b", r"\B", r"\A", r"\Z")
        found += atom + ("" if bare else rng.choice(_REPEATS))
    return found


@number(20_000)
def test_matches_are_those_of_python(times: int) -> None:
    """A module taken for quantised, or left without its update, by our own way to match."""
    rng = random.Random(0)
    tried = matched = endless = 0
    while tried < times:
        text = _random(rng)
        try:
            wanted = re.compile(text)
        except re.error:
            continue
        # Possessive repeats, which nobody writes on purpose, are refused.
        if re.search(r"[*+?}][+]", text):
            continue
        found = _pattern(text)
        name = "".join(rng.choice("abx.1_") for _ in range(rng.randint(1, 6)))
        tried += 1
        try:
            with _in_time(0.5):
                expected = wanted.match(name) is not None, wanted.fullmatch(name) is not None
        except TimeoutError:
            # Python's own way may not end, for which ours is there.
            endless += 1
            continue
        assert (found.begins(name), found.is_whole(name)) == expected, (text, name)
        matched += found.begins(name)
    assert times / 10 < matched < times * 9 / 10 and endless <= times / 1000


@contextmanager
def _in_time(seconds: float) -> Iterator[None]:
    """Raises TimeoutError after so long; the engine of `re` looks for signals now and then."""

    def late(_number: int, _frame: FrameType | None) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize(
    ("text", "name", "matches"),
    [
        (r"(?:.*?(?:language|text).*?(?:attn|mlp).*?(?:q_proj|up_proj).*?)|(?:\bmodel\.layers\."
         r"[\d]{1,}\.(?:attn|mlp)\.(?:(?:q_proj|up_proj)))", "model.layers.31.mlp.up_proj", True),
        (r"(?i).*LM_head", "model.lm_head", True),
        (r"^(?!.*experts).*_proj$", "model.layers.0.mlp.experts.3.up_proj", False),
        (r"^(?!.*experts).*_proj$", "model.layers.0.mlp.up_proj", True),
    ],
)  # fmt: skip
def test_what_people_write(text: str, name: str, matches: bool) -> None:
    """A pattern of a published adapter, refused or read otherwise."""
    assert _pattern(text).is_whole(name) is matches is (re.fullmatch(text, name) is not None)


BOMBS = {
    "wildcards": ".*" * 24 + "x",
    "many wildcards": ".*" * 900 + "x",
    "repeated groups": "(?:a*b*)*" * 150 + "x",
    "optional letters": "a?" * 400 + "a" * 400 + "x",
    "ambiguous branches": "(?:a|b|ab|ba)*" * 60 + "x",
    "counts": "(?:(?:(?:a?){1000}){1000}){1000}x",
    "looks": "(?:(?=.*b).|(?!.*c).)*x",
    "looks in looks": "(?:(?=(?=.*b)a*).)*x",
}


@pytest.mark.slow
@pytest.mark.parametrize("bomb", BOMBS)
def test_bombs_end(bomb: str) -> None:
    """Twenty-four wildcards and a name of forty letters: longer than anyone waits."""
    budget, begun = Budget(), time.process_time()
    # A quarter of what there is: it is to be used up.
    budget.left //= 4
    try:
        pattern = _pattern(BOMBS[bomb], budget)
        found = [pattern.is_whole("ab" * 450) for _ in range(50)]
    except ModelError as error:
        assert "takes too long" in error.reason
    else:
        assert not any(found)
    assert time.process_time() - begun < 6 / 4


@pytest.mark.slow
def test_python_s_own_matcher_does_not_end() -> None:
    """The fault itself: what is above would not end by `re`, and a little of it takes seconds."""
    begun = time.process_time()
    assert not re.fullmatch(".*" * 8 + "x", "ab" * 20)
    little = time.process_time() - begun
    begun = time.process_time()
    assert not _pattern(".*" * 8 + "x").is_whole("ab" * 20)
    assert little > 10 * (time.process_time() - begun)


REFUSED = [r"(a)\1", r"(?P<x>a)(?(x)b|c)", "a*+b", "(?>a)b", "(?x) a", "(a"]
REFUSED += ["a" * 3000, "(" * 900 + ")" * 900]


@pytest.mark.parametrize("text", REFUSED, ids=range(len(REFUSED)))
def test_what_cannot_be_matched_so_is_refused(text: str) -> None:
    """A part passed over, or an exception of Python's reader."""
    with pytest.raises(ModelError, match="'target_modules' has a regular expression"):
        _pattern(text)


def test_a_thousand_plain_patterns_are_no_bomb() -> None:
    """An adapter with a rank for each of its modules, refused for their number."""
    budget = Budget()
    names = [f"model.layers.{i}.self_attn.{part}_proj" for i in range(125) for part in "qkvo"]
    patterns = [_pattern(rf"(?:.*\.)?(?:{name})", budget) for name in names]
    # Each module is looked for among all of them.
    assert all(patterns[at].is_whole(names[at]) for at in range(0, 500, 7))
    assert sum(pattern.is_whole(names[3]) for pattern in patterns) == 1


def test_names_in_lists_are_found_at_once() -> None:
    """A list of a hundred thousand names, each of which was tried as a regular expression."""
    names = frozenset(f"layers.{i}.mlp" for i in range(100_000))
    begun = time.process_time()
    for i in range(1000):
        assert is_listed(f"model.layers.{i}.mlp.up_proj", names)
        assert not is_listed(f"model.layers.{i}.attn.q_proj", names)
    assert time.process_time() - begun < 1
