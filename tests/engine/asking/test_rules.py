"""Rules of a model's files against transformers' processors of the same names."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers.generation import logits_process as theirs

from gptcli.engine.asking import rules
from gptcli.engine.asking.history import History
from gptcli.types.rules import Rules

VOCAB = 12
ids = st.integers(0, VOCAB - 1)
texts = st.tuples(st.lists(ids, min_size=1, max_size=10), st.lists(ids, max_size=10))
logits_of = st.lists(st.floats(-9, 9, width=32), min_size=VOCAB, max_size=VOCAB)
ours_of = {"favour": rules.favour, "restrict": rules.restrict}


def applied(which: str, rule: Rules, logits: list[float], text: tuple[list[int], list[int]]):
    """In both libraries, which must agree; the row beside it is another text's."""
    histories = [History([0], [1]), History(*text)]
    rows = np.array([[0.0] * VOCAB, logits], np.float32)
    found = ours_of[which](rows, rule, histories)[1]
    other = ours_of[which](torch.from_numpy(rows), rule, histories)[1]
    assert np.array_equal(found, other.numpy())
    assert rows[1].tolist() == logits, "the model's own logits must stay"
    return torch.from_numpy(found)


def by(processor, logits: list[float], text: tuple[list[int], list[int]]) -> torch.Tensor:
    return processor(torch.tensor([[*text[0], *text[1]]]), torch.tensor([logits]))[0]


sequences = st.lists(st.lists(ids, min_size=1, max_size=3), min_size=1, max_size=5, unique_by=tuple)


@settings(deadline=None)
@given(logits_of, texts, sequences, st.floats(-5, 5, width=32))
def test_sequence_bias(logits, text, found, amount):
    """Catches a bias on the wrong token, and one that does not look into the prompt."""
    given_biases = [(tuple(each), amount) for each in found]
    expected = by(
        theirs.SequenceBiasLogitsProcessor([[list(i), a] for i, a in given_biases]), logits, text
    )
    mine = applied("favour", Rules(biases=tuple(given_biases)), logits, text)
    torch.testing.assert_close(mine, expected, rtol=0, atol=1e-5)


@settings(deadline=None)
@given(logits_of, texts, sequences)
def test_bad_words(logits, text, found):
    """Catches words of several tokens whose first ones are forbidden too."""
    expected = by(theirs.NoBadWordsLogitsProcessor(found), logits, text)
    rule = Rules(forbidden_sequences=tuple(map(tuple, found)))
    assert torch.equal(applied("restrict", rule, logits, text), expected)


@settings(deadline=None)
@given(logits_of, texts, st.floats(0.25, 4, width=32))
def test_encoder_repetition_penalty(logits, text, penalty):
    """Catches a penalty that is taken the wrong way round: this one favours."""
    processor = theirs.EncoderRepetitionPenaltyLogitsProcessor(
        penalty, encoder_input_ids=torch.tensor([text[0]])
    )
    mine = applied("favour", Rules(prompt_penalty=penalty), logits, text)
    torch.testing.assert_close(mine, by(processor, logits, text), rtol=1e-6, atol=1e-6)


@settings(deadline=None)
@given(logits_of, texts, st.integers(1, 4))
def test_no_repeat_ngram_size(logits, text, size):
    """Catches sequences across the end of the prompt, and the first and last of them."""
    expected = by(theirs.NoRepeatNGramLogitsProcessor(size), logits, text)
    assert torch.equal(applied("restrict", Rules(no_repeat=size), logits, text), expected)


@settings(deadline=None)
@given(logits_of, texts, st.integers(1, 15), st.lists(ids, min_size=1, max_size=3, unique=True))
def test_no_end_before_its_time(logits, text, least, ends):
    """Catches an end that is counted from the other place: the text's, or the prompt's, end."""
    prompt = len(text[0])
    expected = by(theirs.MinLengthLogitsProcessor(least, ends, device="cpu"), logits, text)
    rule = Rules(least=least, ends=tuple(ends))
    assert torch.equal(applied("restrict", rule, logits, text), expected)
    processor = theirs.MinNewTokensLengthLogitsProcessor(prompt, least, ends, device="cpu")
    rule = Rules(least_new=least, ends=tuple(ends))
    assert torch.equal(applied("restrict", rule, logits, text), by(processor, logits, text))


@settings(deadline=None)
@given(logits_of, texts, st.integers(0, 5), st.floats(1, 2, width=32))
def test_exponential_decay_length_penalty(logits, text, start, factor):
    """Catches a bonus that begins a token early, and one that pushes negative logits down."""
    processor = theirs.ExponentialDecayLengthPenalty((start, factor), [3, 5], len(text[0]))
    rule = Rules(ending=(start, factor), ends=(3, 5))
    mine = applied("restrict", rule, logits, text)
    torch.testing.assert_close(mine, by(processor, logits, text), rtol=1e-5, atol=1e-5)


@settings(deadline=None)
@given(logits_of, texts, st.lists(ids, max_size=4), st.lists(ids, max_size=4))
def test_suppressed_tokens(logits, text, always, first):
    """Catches tokens that are forbidden at the beginning alone, or only there."""
    found = by(theirs.SuppressTokensLogitsProcessor(always, device="cpu"), logits, text)
    begin = theirs.SuppressTokensAtBeginLogitsProcessor(first, len(text[0]), device="cpu")
    expected = begin(torch.tensor([[*text[0], *text[1]]]), found[None])[0]
    rule = Rules(forbidden=tuple(always), forbidden_first=tuple(first))
    assert torch.equal(applied("restrict", rule, logits, text), expected)


def test_a_bonus_that_overflows_stays_a_number():
    """Catches inf, of which the next stage makes NaN, after some hundred tokens."""
    history = ([0], [1] * 4000)
    found = applied("restrict", Rules(ending=(0, 9.0), ends=(2,)), [1.0] * VOCAB, history)
    assert torch.isfinite(found).all() and found.argmax() == 2


@pytest.mark.parametrize("count", [0, 1, 2, 3, 5, 9])
def test_the_tail_of_a_history(count):
    """Catches a tail that is whole where nothing is asked for: [-0:] is all."""
    history = History([1, 2, 3], [4, 5])
    assert history.tail(count) == [1, 2, 3, 4, 5][max(5 - count, 0) :]
