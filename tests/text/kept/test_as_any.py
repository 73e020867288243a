"""All that holds for tokenizers holds where they are kept: the same tests, once more."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gptcli.text import opened_tokenizer
from gptcli.text.kept.tokenizer import KeptTokenizer
from tests.text.test_tokenizer import *  # noqa: F403


@pytest.fixture(scope="module", autouse=True)
def _large() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(opened_tokenizer, "_LARGE", 0)
        yield


def test_they_are_kept(bytes_tokenizer, pieces_tokenizer):
    """Catches the same tests of the same thing."""
    for each in (bytes_tokenizer, pieces_tokenizer):
        assert isinstance(each._cutter, KeptTokenizer)
