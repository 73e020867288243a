"""Prompts of 40 tokens are long."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything that goes by a number of tokens goes by fewer."""
    monkeypatch.setattr("gptcli.engine.prompts.kept_prompts.LEAST", 6)
    monkeypatch.setattr("gptcli.engine.state.stored_state.BLOCK", 16)
    monkeypatch.setattr("gptcli.engine.asking.prefix.CHUNK", 9)
    monkeypatch.setattr("gptcli.engine.asking.prefix.LEAST", 4)
    monkeypatch.setattr("gptcli.engine.asking.prefix.TAIL", 2)
