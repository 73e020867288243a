"""Models of text and of images: the text model runs, under every name it was published with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

from gptcli.engine.describe import describe
from gptcli.errors import ModelError
from tests.engine.cpu.helpers import SETS
from tests.engine.helpers import copy_case, golden_of
from tests.opening import load, open_kernels

TOLERANCE = 3e-5
Fields = dict[str, Any]


def flat(config: Fields) -> None:
    """As the first configs: fields of the text beside those of the rest."""
    text = config.pop("text_config")
    config |= {name: value for name, value in text.items() if name != "model_type"}


def unsaid(config: Fields) -> None:
    """Whether the head is tied, and which text model it is, were left unsaid."""
    del config["tie_word_embeddings"]
    config["text_config"].pop("tie_word_embeddings", None)
    del config["text_config"]["model_type"]


def newer(name: str) -> str:
    """All of the model behind `model.`, the text's behind `model.language_model.`; the head alone.

    transformers writes `visual` or `vision_tower`, `language_model.model` or the text's own names.
    """
    if name.endswith("lm_head.weight"):
        return "lm_head.weight"
    text = name.removeprefix("language_model.")
    if text.startswith("model."):
        return text.replace("model.", "model.language_model.", 1)
    return f"model.{name}"


@pytest.mark.parametrize(
    ("case", "change", "renamed"),
    [
        ("qwen2_vl/vision", flat, newer),
        ("qwen2_5_vl/vision", flat, newer),
        ("mistral3/vision", unsaid, newer),
        ("qwen3_vl_moe/vision", lambda config: None, str),
    ],
)
def test_published_names(
    tmp_path: Path, case: str, change: Callable[[Fields], None], renamed: Callable[[str], str]
) -> None:
    """Catches a published checkpoint that is refused, or read as something else."""
    directory = copy_case(case, tmp_path / "m", change)
    stored = load_file(directory / "model.safetensors")
    # Published stacks of experts are (in, out).
    turned = {
        renamed(name): tensor.mT.contiguous() if ".experts." in name else tensor
        for name, tensor in stored.items()
    }
    assert list(turned) != list(stored) or "moe" in case
    save_file(turned, directory / "model.safetensors")
    golden = golden_of(case)
    for opened in (load, open_kernels) if SETS else (load,):
        runner = opened(directory, dtype="float32")
        rows = [runner.all_logits(row, runner.new_state()) for row in golden["ids"].tolist()]
        apart = np.stack([np.asarray(row) for row in rows]) - golden["logits"].numpy()
        assert np.abs(apart).max() <= TOLERANCE


def test_the_text_model_is_one_that_is_known(tmp_path: Path) -> None:
    """Catches a text model that is taken for Mistral because it stands where Mistral stands."""
    directory = copy_case("mistral3/vision", tmp_path / "m", lambda c: _of_kind(c, "qwen2"))
    with pytest.raises(ModelError, match=r"text_config: 'model_type' .*qwen2.* not supported"):
        describe(directory)


def _of_kind(config: Fields, kind: str) -> None:
    config["text_config"]["model_type"] = kind
