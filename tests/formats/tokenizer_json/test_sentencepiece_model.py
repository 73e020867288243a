"""tokenizer.model, read as the sentencepiece library's own message reads."""

from __future__ import annotations

import base64
import contextlib
import time

import pytest
import sentencepiece
from hypothesis import given, settings
from hypothesis import strategies as st

from gptcli.formats.tokenizer_json import sentencepiece_model
from gptcli.formats.tokenizer_json.parts import UnfitError
from tests.formats.tokenizer_json.spm import train

GOOD = train(normalization_rule_name="nmt_nfkc", remove_extra_whitespaces=True)


def test_agrees_with_the_library() -> None:
    """Catches a field's number mistaken, a default forgotten, a score of the wrong width."""
    theirs = sentencepiece.SentencePieceProcessor(model_proto=GOOD)
    found = sentencepiece_model.parse(GOOD)
    assert [piece.text for piece in found.pieces] == [
        theirs.id_to_piece(at) for at in range(theirs.get_piece_size())
    ]
    for at, piece in enumerate(found.pieces):
        assert piece.score == theirs.get_score(at)
        assert (piece.kind.name == "CONTROL") == theirs.is_control(at)
        assert (piece.kind.name == "BYTE") == theirs.is_byte(at)
    assert (found.unk, found.bos, found.eos) == (theirs.unk_id(), theirs.bos_id(), theirs.eos_id())
    assert found.dummy_prefix and found.squeeze
    assert found.character_map and len(base64.b64decode(found.character_map)) > 1000


def test_settings_that_are_off() -> None:
    """Catches a false, and an id of -1, read as their defaults."""
    data = train(add_dummy_prefix=False, bos_id=-1, eos_id=1)
    found = sentencepiece_model.parse(data)
    assert (found.unk, found.bos, found.eos) == (0, None, 1)
    assert not found.dummy_prefix and not found.squeeze and found.character_map is None


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"model_type": "char"}, "character"),
        ({"treat_whitespace_as_suffix": True}, "treat_whitespace_as_suffix"),
    ],
)
def test_other_models_are_refused_by_name(options: dict[str, object], reason: str) -> None:
    """Catches a model that is cut by other rules than those it is rebuilt with."""
    with pytest.raises(UnfitError, match=reason):
        sentencepiece_model.parse(train(**options))


@pytest.mark.parametrize("data", [b"", b"\x0a\xff\xff\xff\xff\x0f", b"{}", b"\x0a\x05\x0a\x03ab"])
def test_what_is_no_model(data: bytes) -> None:
    """Catches an exception that is not ours, and a length that is believed."""
    with pytest.raises(UnfitError):
        sentencepiece_model.parse(data)


@settings(max_examples=300, deadline=2000)
@given(
    changes=st.lists(st.tuples(st.integers(0, len(GOOD) - 1), st.integers(0, 255)), max_size=8),
    length=st.integers(0, len(GOOD)),
)
def test_damaged_models_are_read_or_refused(changes: list[tuple[int, int]], length: int) -> None:
    """Catches anything but a model or an UnfitError, or a loop, for a damaged file."""
    data = bytearray(GOOD)
    for at, byte in changes:
        data[at] = byte
    start = time.monotonic()
    with contextlib.suppress(UnfitError):
        sentencepiece_model.parse(bytes(data[:length]))
    assert time.monotonic() - start < 2
