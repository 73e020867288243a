"""What a model is by its files."""

from __future__ import annotations

import shutil

import pytest

from gptcli.errors import ModelError
from gptcli.models.content import content_of


def test_it_is_told_by_names_and_bytes_alone(tmp_path):
    """Catches a model that was changed and is taken for the same, and a copy that is not."""
    model, copy = tmp_path / "m", tmp_path / "copy"
    model.mkdir()
    for name, text in (("config.json", "{}"), ("model.safetensors", "x" * 9000), ("README.md", "")):
        (model / name).write_text(text)
    shutil.copytree(model, copy)
    known = content_of(model)
    assert content_of(copy) == known
    (copy / "README.md").write_text("another")
    assert content_of(copy) == known
    (copy / "model.safetensors").write_text("x" * 8999 + "y")
    assert content_of(copy) != known
    (model / "config.json").rename(model / "other.json")
    assert content_of(model) != known
    with pytest.raises(ModelError, match="No such file"):
        content_of(tmp_path / "none")
