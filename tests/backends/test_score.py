"""Scoring texts with a tiny model: what stands before them, where they begin, what is refused."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer as Rust

from gptcli.backends.echo import EchoBackend
from gptcli.backends.local import LocalBackend
from gptcli.backends.local.open_model import OpenModel
from gptcli.errors import InputError, UsageError
from gptcli.types.compute import Compute
from gptcli.types.models import ModelDir
from gptcli.types.score import Score, ScoreRequest
from tests.text.tokenizers_for_tests import with_template


def backend_of(directory: Path, limit: int | None = None) -> LocalBackend:
    model = OpenModel(ModelDir("tiny", directory, "test"), Compute(device="cpu", ctx_size=limit))
    return LocalBackend(model)


@pytest.fixture(scope="module")
def backend(tiny_model: Path) -> LocalBackend:
    return backend_of(tiny_model)


@pytest.fixture
def bos_model(tiny_model: Path, tmp_path: Path) -> Path:
    """The same model, which wants <|end|> before every text."""
    directory = tmp_path / "bos"
    shutil.copytree(tiny_model, directory)
    rust = Rust.from_file(str(directory / "tokenizer.json"))
    with_template(rust, "<|end|>").save(str(directory / "tokenizer.json"))
    return directory


@pytest.fixture
def with_bos(bos_model: Path) -> LocalBackend:
    return backend_of(bos_model)


def text_of(score: Score) -> str:
    return b"".join(each.token.bytes for each in score.tokens).decode()


def test_the_first_token_of_a_text_is_not_scored(backend):
    """Catches a made-up number for a token that nothing stands before."""
    found = backend.answer(ScoreRequest("the cat sat"))
    first, *others = found.tokens
    assert (first.logprob, first.rank, first.best, first.bits) == (None, None, None, None)
    assert all(each.logprob is not None for each in others)
    assert found.totals.unscored == 1
    assert text_of(found) == "the cat sat"


def test_a_context_is_run_and_not_scored(backend):
    """Catches a context that is scored, forgotten, or cut apart from the text."""
    whole = backend.answer(ScoreRequest("the cat sat on the mat"))
    part = backend.answer(ScoreRequest(" on the mat", context="the cat sat"))
    assert text_of(part) == " on the mat"
    assert part.totals.unscored == 0
    assert part.context_tokens + len(part.tokens) == len(whole.tokens)
    for ours, theirs in zip(part.tokens, whole.tokens[-len(part.tokens) :], strict=True):
        assert ours.token == theirs.token
        assert ours.logprob == pytest.approx(theirs.logprob, abs=1e-5)


def test_spaces_at_the_end_of_the_context_belong_to_the_text(backend):
    """Catches a text that is scored after a lone space."""
    assert backend.answer(ScoreRequest("on", context="the cat sat ")) == backend.answer(
        ScoreRequest(" on", context="the cat sat")
    )


def test_a_context_of_spaces_is_none(backend):
    """Catches a first token that is scored after nothing."""
    found = backend.answer(ScoreRequest("the cat", context=" "))
    assert found.context_tokens == 0
    assert found.totals.unscored == 1


def test_with_a_bos_token_everything_is_scored(with_bos):
    """Catches a BOS token that is scored, shown, or put before a text that brings its own."""
    found = with_bos.answer(ScoreRequest("the cat"))
    assert found.totals.unscored == 0
    assert found.context_tokens == 1
    assert text_of(found) == "the cat"
    own = with_bos.answer(ScoreRequest("<|end|>the cat", special=True))
    assert own == found
    assert with_bos.answer(ScoreRequest("t")).totals.scored == 1


@pytest.mark.parametrize(("limit", "stride"), [(8, None), (8, 1), (8, 7), (5, 2)])
@pytest.mark.parametrize("context", ["", "the dog sat on the log "])
def test_a_long_text_is_scored_by_its_windows(tiny_model, limit, stride, context):
    """Catches a text that is cut off, and windows that begin elsewhere than the answer says."""
    text = "the cat sat on the mat and the dog"
    found = backend_of(tiny_model, limit).answer(ScoreRequest(text, context, stride))
    assert found.windows > 1
    assert (found.context_size, found.stride) == (limit, stride or limit // 2)
    whole = backend_of(tiny_model)
    before = len(whole.answer(ScoreRequest(context + text)).tokens) - len(found.tokens)
    assert before == found.context_tokens
    # Each token again, by a text of its own that is exactly what its window held before it.
    ids = [each.token for each in whole.answer(ScoreRequest(context + text)).tokens]
    runner = whole._open.runner
    for place, each in enumerate(found.tokens, start=before):
        if place == 0:
            assert each.logprob is None
            continue
        start = next(s for s in range(0, len(ids), found.stride) if s + limit > place)
        row = [token.id for token in ids[start:place]]
        logits = runner.prefill([row], runner.new_state())[0]
        expected = torch.as_tensor(logits).log_softmax(-1)[each.token.id].item()
        assert each.logprob == pytest.approx(expected, abs=3e-5)


@pytest.mark.parametrize(("limit", "stride"), [(8, None), (8, 1), (8, 7), (2, None)])
def test_a_bos_token_begins_every_window(bos_model, limit, stride):
    """Catches windows whose first tokens come after nothing, in a model that never saw such."""
    text = "the cat sat on the mat and the dog"
    found = backend_of(bos_model, limit).answer(ScoreRequest(text, stride=stride))
    assert found.windows > 1 and found.totals.unscored == 0
    whole = backend_of(bos_model)
    ids = [each.token.id for each in found.tokens]
    runner, bos = whole._open.runner, whole._open.tokenizer.prefix
    for place, each in enumerate(found.tokens):
        start = next(s for s in range(0, len(ids), found.stride) if s + limit - 1 > place)
        logits = runner.prefill([[*bos, *ids[start:place]]], runner.new_state())[0]
        expected = torch.as_tensor(logits).log_softmax(-1)[each.token.id].item()
        assert each.logprob == pytest.approx(expected, abs=3e-5)
    with pytest.raises(UsageError, match=f"from 1 to {limit - 1}"):
        backend_of(bos_model, limit).answer(ScoreRequest(text, stride=limit))


@pytest.mark.parametrize(
    ("request_", "error", "reason"),
    [
        (ScoreRequest(""), InputError, "is empty"),
        (ScoreRequest("", context="the cat"), InputError, "is empty"),
        (ScoreRequest("t"), InputError, "one token with nothing before it"),
        (ScoreRequest("the cat", stride=64), UsageError, "from 1 to 63"),
    ],
    ids=["empty", "empty after a context", "one token", "stride"],
)
def test_what_cannot_be_scored(backend, request_, error, reason):
    """Catches a perplexity of nothing, and windows that do not overlap."""
    with pytest.raises(error, match=reason):
        backend.answer(request_)


def test_a_context_of_one_token_is_too_small(tiny_model):
    """Catches a division of the context into windows of nothing."""
    with pytest.raises(UsageError, match="nothing before it"):
        backend_of(tiny_model, 1).answer(ScoreRequest("the cat"))


def test_control_tokens_are_text_unless_asked_for(backend):
    """Catches a text that gives orders, and one whose control tokens are ignored in silence."""
    plain = backend.answer(ScoreRequest("the<|role|>"))
    special = backend.answer(ScoreRequest("the<|role|>", special=True))
    assert [n.text for n in plain.notices] == [
        "<|role|> is read as plain text; --special makes it a token"
    ]
    assert not special.notices
    assert special.tokens[-1].token.special
    assert not any(each.token.special for each in plain.tokens)


def test_echo_refuses_by_name():
    """Catches an AttributeError where a backend has no answer."""
    with pytest.raises(UsageError, match="echo: cannot score a text"):
        EchoBackend().answer(ScoreRequest("a b"))
