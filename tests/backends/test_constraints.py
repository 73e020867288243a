"""Constrained texts of a model: the same alone and beside others, drafted or not, always whole."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gptcli.backends.local import LocalBackend
from gptcli.backends.local.open_model import OpenModel
from gptcli.errors import InputError, UsageError
from gptcli.types.ask import AskRequest, ValueType
from gptcli.types.batch import Asked, BatchRequest, Told
from gptcli.types.chat import ChatForm, ChatRequest, Message, TranscriptForm
from gptcli.types.completion import Chunk, Request, Usage
from gptcli.types.compute import Compute
from gptcli.types.constraints import Constraint
from gptcli.types.few_shot import (
    Answer,
    Example,
    FewShotQueries,
    FewShotRequest,
    FewShotUsage,
    Query,
)
from gptcli.types.models import ModelDir
from gptcli.types.next_tokens import NextTokensRequest, WalkRequest
from gptcli.types.sampling import SamplingWish
from tests.backends.test_batch import Coming

WARM, GREEDY = SamplingWish(temperature=1.5), SamplingWish(temperature=0)
RAW = SamplingWish(temperature=1, min_p=0, repeat_penalty=1)
OBJECT = Constraint("json-object")
WORD = Constraint("regex", "[a-d]{2,6}(-[a-d]+)?!")
LISTS = Constraint("regex", r"(\[(ab, )*ab\] ?){4,9}")
CHOICE = Constraint("one-of", choices=("the cat", "the dog", "a log"))


def opened(directory: Path, **more: Any) -> LocalBackend:
    compute = Compute(device="cpu", **more)
    return LocalBackend(OpenModel(ModelDir("tiny", directory, "test"), compute))


@pytest.fixture(scope="module")
def backend(base_model: Path) -> LocalBackend:
    return opened(base_model)


def request(constraint: Constraint, **more: Any) -> Request:
    settings = {"sampling": WARM, "seed": 3, "max_new_tokens": 200} | more
    return Request("the cat sat on", constraint=constraint, **settings)


def texts_of(events: Iterable[Any]) -> tuple[list[str], Usage]:
    texts: dict[int, str] = {}
    usage = None
    for event in events:
        if isinstance(event, Chunk):
            texts[event.index] = texts.get(event.index, "") + event.text
        elif isinstance(event, Usage):
            usage = event
    assert usage is not None
    return [texts[i] for i in sorted(texts)], usage


def check(constraint: Constraint, text: str) -> None:
    if constraint.kind == "json-object":
        assert isinstance(json.loads(text), dict)
    elif constraint.kind == "regex":
        assert re.fullmatch(constraint.text, text)
    else:
        assert text in constraint.choices


@pytest.mark.parametrize("constraint", [WORD, CHOICE, replace(OBJECT, repair=True)])
def test_samples_are_whole_and_those_of_each_seed_alone(backend, constraint):
    """Catches one guard for all samples, a draw that a forced token saves, and text that is cut."""
    texts, usage = texts_of(backend.answer(request(constraint, samples=6)))
    for seed, text in enumerate(texts, 3):
        check(constraint, text)
        assert texts_of(backend.answer(request(constraint, seed=seed)))[0] == [text]
    assert usage.constraint is not None and not usage.constraint.unfinished
    assert 0 < usage.constraint.decided <= usage.constraint.steps


def test_a_batch_gives_what_each_gives_alone(backend):
    """Catches a mask on another's row, and a row without one that is masked all the same."""
    some = [WORD, CHOICE, None, replace(OBJECT, repair=True), CHOICE, None]
    asked = [request(each, seed=n, max_new_tokens=40) for n, each in enumerate(some)]  # type: ignore[arg-type]
    parts: dict[int, list[Any]] = {}
    coming = Coming(*(Asked(n, each) for n, each in enumerate(asked)))
    for event in backend.answer(BatchRequest(coming, 4)):
        if isinstance(event, Told):
            parts.setdefault(event.key, []).append(event.part)
    for n, each in enumerate(asked):
        alone, beside = texts_of(backend.answer(each)), texts_of(parts[n])
        assert beside[0] == alone[0]
        assert beside[1].constraint == alone[1].constraint


@pytest.mark.parametrize("sampling", [GREEDY, WARM])
def test_drafts_change_nothing(base_model, sampling):
    """Catches a guard that a draft moves on, and one that is not asked within it."""
    plain, ahead = (opened(base_model, speculate=each) for each in ("0", "6"))
    asked = request(LISTS, sampling=sampling, max_new_tokens=120)
    one, other = texts_of(plain.answer(asked)), texts_of(ahead.answer(asked))
    assert one[0] == other[0]
    assert one[1].constraint == other[1].constraint
    assert other[1].drafts is not None and other[1].drafts.kept > 0


def test_draws_are_of_the_models_own_distribution_renormalised(backend):
    """Catches a mask after the filters, forced spellings, and a bias towards short tokens."""
    constraint = Constraint("regex", "[a-m]{1,3} ?.*")
    asked = Request("the cat", sampling=RAW, seed=5, samples=4000, max_new_tokens=1, logprobs=0)
    asked = replace(asked, constraint=constraint)
    drawn: dict[bytes, int] = {}
    for event in backend.answer(asked):
        if isinstance(event, Chunk) and event.tokens:
            piece = event.tokens[0].bytes
            drawn[piece] = drawn.get(piece, 0) + 1
    whole = backend.answer(NextTokensRequest("the cat", sampling=RAW, rows=1, whole=True)).whole
    pattern = re.compile(rb"[a-m]{1,3}( ?[^\n]*)")
    expected: dict[bytes, float] = {}
    for piece, logprob in zip(whole.tokens, whole.logprobs, strict=True):
        if piece.isascii() and pattern.fullmatch(piece) and not piece.startswith(b"<|"):
            expected[piece] = expected.get(piece, 0.0) + math.exp(logprob)
    total = sum(expected.values())
    assert drawn.keys() <= expected.keys()
    # Those that are rare together are one cell.
    cells: dict[bytes, tuple[float, int]] = {}
    for piece, chance in expected.items():
        share = 4000 * chance / total
        key = piece if share >= 10 else b"rare"
        one, other = cells.get(key, (0.0, 0))
        cells[key] = one + share, other + drawn.get(piece, 0)
    statistic = sum((seen - due) ** 2 / due for due, seen in cells.values())
    freedom = len(cells) - 1
    assert freedom >= 5
    # Of five standard deviations, as chi-square has them.
    assert statistic < freedom + 5 * math.sqrt(2 * freedom)


def test_what_a_limit_cuts_off_is_told_or_closed(backend):
    """Catches a text that is not whole and looks as if it were, and an end that nobody tells of."""
    lists = Constraint(
        "json-schema", '{"type": "array", "items": {"type": "string"}, "minItems": 3}'
    )
    cut = request(lists, max_new_tokens=2)
    (text,), usage = texts_of(backend.answer(cut))
    (found,) = usage.constraint.unfinished
    assert found.missing is not None
    assert len(json.loads(text + found.missing)) == 3
    assert repr(found.missing)[:20] in found.in_words
    events = list(backend.answer(replace(cut, constraint=replace(lists, repair=True))))
    (closed,), usage = texts_of(events)
    assert closed == text + found.missing
    assert usage.constraint.repaired[0].text == found.missing
    assert any("which the model did not write" in getattr(each, "text", "") for each in events)


def test_a_limit_at_a_whole_text_cuts_nothing_off(backend):
    """Catches an error for a text that could only have been longer."""
    (text,), usage = texts_of(backend.answer(request(Constraint("regex", "a*"), max_new_tokens=4)))
    assert set(text) <= {"a"}
    assert not usage.constraint.unfinished


@pytest.mark.parametrize("repair", [False, True])
def test_a_stop_string_within_the_form(backend, repair):
    """Catches a text that a stop string cut and that passes for whole, and a stop that is passed
    over, or that the text's own end is taken for.
    """
    constraint = Constraint("regex", "[ab]{2}-[ab]{2}(=[ab]+)?", repair=repair)
    (text,), usage = texts_of(backend.answer(request(constraint, stop=("-",))))
    assert bool(usage.constraint.unfinished) is not repair
    assert re.fullmatch("[ab]{2}-[ab]{2}" if repair else "[ab]{2}", text)
    (whole,), usage = texts_of(backend.answer(request(constraint, stop=("=",))))
    assert re.fullmatch("[ab]{2}-[ab]{2}", whole)
    assert not usage.constraint.unfinished


def test_healing_and_a_form_are_both_kept_to(backend):
    """Catches a prompt that is spelled otherwise, and the healed bytes that count as text."""
    constraint = Constraint("regex", r"t on [a-m]{3}\.")
    for seed in range(5):
        asked = replace(request(constraint, heal=True, seed=seed), prompt="the cat sa")
        (text,), usage = texts_of(backend.answer(asked))
        assert re.fullmatch(constraint.text, text)
        assert not usage.constraint.unfinished


@pytest.mark.parametrize("form", [ChatForm(), ChatForm(transcript=TranscriptForm())])
def test_answers_in_a_chat(chat_model, form):
    """Catches the stop strings of a transcript within the form, and the space after a name."""
    asked = ChatRequest(
        (Message("user", "the cat"),),
        form,
        WARM,
        200,
        seed=1,
        constraint=Constraint("regex", "[ab]\n\nUser: [ab]"),
    )
    (text,), usage = texts_of(opened(chat_model).answer(asked))
    assert re.fullmatch("[ab]\n\nUser: [ab]", text)
    assert not usage.constraint.unfinished


def test_answers_after_examples(backend):
    """Catches the border of examples as an end, rows that share a guard, and lost indexes."""
    asked = FewShotRequest(
        (Example("a", "b"),),
        sampling=WARM,
        max_new_tokens=60,
        constraint=Constraint("regex", "[ab]\n\n[ab]{3}"),
    )
    queries = tuple(Query(f"q{n}", f"the cat {n}") for n in range(5))
    events = list(backend.answer(FewShotQueries(asked, queries)))
    texts = [each.text for each in events if isinstance(each, Answer)]
    assert len(texts) == 5 and all(re.fullmatch("[ab]\n\n[ab]{3}", each) for each in texts)
    short = replace(asked, max_new_tokens=2)
    (usage,) = (
        e for e in backend.answer(FewShotQueries(short, queries)) if isinstance(e, FewShotUsage)
    )
    assert [each.index for each in usage.constraint.unfinished] == list(range(5))


def test_what_is_forbidden_is_a_stage(backend):
    """Catches a constraint that the stages do not show, or whose share is not the raw one's."""
    look = backend.answer(NextTokensRequest("the cat", sampling=RAW, rows=250, constraint=CHOICE))
    assert look.stages[:2] == ("logits", "constraint")
    cut = [each for each in look.candidates if each.cut_by == "constraint"]
    assert look.forbidden == pytest.approx(sum(each.probability for each in cut), abs=1e-6)
    kept = [each for each in look.candidates if each.cut_by is None]
    assert {each.token.bytes[:1] for each in kept} == {b"t", b"a"}
    for each in kept:
        assert each.drawn == pytest.approx(each.probability / (1 - look.forbidden), rel=1e-3)


@pytest.mark.parametrize("seed", range(4))
def test_a_walk_keeps_to_the_form(backend, seed):
    """Catches tokens that are drawn from what the model alone would say."""
    first = NextTokensRequest("the cat", sampling=RAW, constraint=CHOICE)
    walk = backend.answer(WalkRequest(first, seed=seed))
    while not (drawn := walk.draw()).ends:
        assert drawn.drawn > 0 and drawn.cut_by is None
        walk.take(drawn.token.id)
    assert walk.taken.decode() in CHOICE.choices


def test_a_walk_names_a_token_that_the_form_forbids_and_goes_on(backend):
    """Catches a misleading error, a walk that is lost by it, and a text that breaks the form."""
    first = NextTokensRequest("the cat", sampling=RAW, constraint=CHOICE, rows=200)
    walk = backend.answer(WalkRequest(first, seed=1))
    candidates = walk.look().candidates
    wrong = next(each for each in candidates if each.cut_by == "constraint" and not each.ends)
    end = next(each for each in candidates if each.cut_by == "constraint" and each.ends)
    for each in (wrong, end):
        with pytest.raises(InputError, match="--one-of: forbids ") as failed:
            walk.take(each.token.id)
        assert repr(each.token.text) in str(failed.value)
    walk.take(walk.draw().token.id)
    assert any(choice.startswith(walk.taken.decode()) for choice in CHOICE.choices)


def test_no_form_and_an_unknown_one(backend):
    """Catches a bad form that is only found out when something is drawn."""
    with pytest.raises(UsageError, match="--regex"):
        list(backend.answer(request(Constraint("regex", "("))))


@pytest.mark.parametrize("kind", ["int", "float", "date"])
def test_a_value_is_one_of_its_type(backend, kind):
    """Catches a number that never ends, a 30th of February, and a probability beyond 1."""
    found = backend.answer(AskRequest("the cat:", ValueType(kind)))
    assert 0 < found.probability <= 1
    assert re.fullmatch(r"\d{4}-\d\d-\d\d" if kind == "date" else r"-?\d+(\.\d+)?", found.text)


def test_an_answer_of_several_is_the_likeliest(backend):
    """Catches shares that do not add up, and a value that is not the label with the largest."""
    found = backend.answer(AskRequest("the", ValueType("choice", ("cat", "dog", "log"))))
    assert sum(each.probability for each in found.shares) == pytest.approx(1)
    assert found.probability == max(each.probability for each in found.shares)
    assert found.text == max(found.shares, key=lambda each: each.logprob).label
    assert found.value == found.printed == found.text
    told = backend.answer(AskRequest("the cat sat?", ValueType("bool")))
    assert told.value in (True, False) and told.printed == str(told.value).lower()


def test_dates_are_those_that_there_are():
    """Catches the 29th of February of 1900, and a month of 31 days that has none."""
    from datetime import date, timedelta

    from gptcli.backends.asked_values import PATTERNS

    pattern = re.compile(PATTERNS["date"])
    for year in (1900, 2000, 2023, 2024):
        days = {(date(year, 1, 1) + timedelta(n)).isoformat() for n in range(366)}
        for month in range(14):
            for day in range(33):
                text = f"{year}-{month:02}-{day:02}"
                assert bool(pattern.fullmatch(text)) == (text in days), text


def test_masks_take_no_fresh_buffer(backend):
    """Catches a buffer for each step: what the library writes into is made once."""
    from gptcli.backends.local.constraining import Constrained

    guard = Constrained(backend.model, WORD, ()).grammar.begin()
    first = guard._bits
    for token in backend.model.tokenizer.encode("ab"):
        assert isinstance(guard.mask, np.ndarray)
        guard.take(token)
    assert guard._bits is first


@pytest.mark.parametrize("constraint", [WORD, CHOICE, LISTS], ids=["word", "choice", "lists"])
def test_what_is_banned_is_taken_back_from_the_guard_too(backend, constraint):
    """Catches a guard that goes on from tokens which a ban took back, and a phrase that still
    comes: a text is whole without it; or, where the guard wants the phrase behind all that was
    given out, that is told.
    """
    free, _ = texts_of(backend.answer(request(constraint, samples=2)))
    phrases = sorted({text[at : at + 2] for text in free for at in range(len(text) - 1)})
    found = 0
    for phrase, seed in product(phrases[:8], (3, 4)):
        asked = request(constraint, sampling=replace(WARM, ban=(phrase,)), seed=seed)
        try:
            texts, usage = texts_of(backend.answer(asked))
        except InputError as error:
            assert "the constraint" in str(error)
            continue
        assert phrase not in texts[0]
        check(constraint, texts[0])
        assert usage.constraint is not None and not usage.constraint.unfinished
        found += phrase in free[seed - 3]
    # All that the guard lets be a list has these phrases.
    assert found or constraint == LISTS
