"""What stands around commands, and around the opening of a model."""

from __future__ import annotations

import gc

import pytest

from gptcli.cli.guard import opening


def test_what_cannot_be_reached_is_looked_for_again_after_opening() -> None:
    """Catches a long run that keeps what nobody can reach, also after an opening that failed."""
    before = gc.get_threshold()
    with pytest.raises(OSError), opening():
        assert gc.get_threshold()[0] > before[0]
        raise OSError
    assert gc.get_threshold() == before
