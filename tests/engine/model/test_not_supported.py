"""What does not run is refused with its reason, before anything large is opened."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gptcli.engine.describe import describe
from gptcli.engine.model.config_fields import ConfigFields
from gptcli.engine.model.families import read_spec, supported
from gptcli.engine.model.not_supported import NOT_SUPPORTED, reasons
from gptcli.errors import ModelError
from tests.sweeps import in_turn


def test_no_name_both_runs_and_is_refused() -> None:
    """Catches a reason that outlives its truth, and a line that is too long to read."""
    assert not NOT_SUPPORTED.keys() & set(supported())
    assert sorted(name for names in reasons().values() for name in names) == sorted(NOT_SUPPORTED)
    assert all(len(reason) < 100 and reason[-1] != "." for reason in reasons())


@in_turn("name", NOT_SUPPORTED)
def test_the_reason_comes_before_all_else(name: str) -> None:
    """Catches a field of another kind of model that is refused in place of the kind."""
    fields = {"model_type": name, "is_encoder_decoder": True}
    with pytest.raises(ModelError, match=f"model_type.*{name}.*is not supported: ") as caught:
        read_spec(ConfigFields("config.json", fields))
    assert NOT_SUPPORTED[name] in str(caught.value)


def test_weights_are_not_looked_at(tmp_path: Path) -> None:
    """Catches an error about weights where the model could not run in any case."""
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "jamba"}))
    (tmp_path / "model.safetensors").write_bytes(b"no weights at all")
    with pytest.raises(ModelError, match=r"config\.json.*first kind"):
        describe(tmp_path)
