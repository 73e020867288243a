from __future__ import annotations

import json
from pathlib import Path

import gguf
import numpy as np
import pytest
import torch
from gguf import GGMLQuantizationType as Kind
from safetensors.torch import load_file

from gptcli.errors import ModelError
from gptcli.formats.bfloat16 import as_bfloat16
from gptcli.formats.gguf import reading
from gptcli.models.gguf import rope
from gptcli.models.gguf.convert import convert


@pytest.fixture
def turn(tmp_path: Path, drain):
    """Converts a file into a fresh directory."""

    def run(path: Path) -> Path:
        target = tmp_path / "out"
        target.mkdir()
        drain(convert(path, target, "tiny", "a test"))
        return target

    return run


def _same(found: dict[str, torch.Tensor], wanted: dict[str, torch.Tensor]) -> None:
    assert found.keys() == wanted.keys()
    for name, tensor in wanted.items():
        assert found[name].dtype == tensor.dtype, name
        assert torch.equal(found[name], tensor), name


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("kind", [Kind.F32, Kind.F16, Kind.BF16])
def test_llama_comes_back_exactly(tmp_path: Path, write_llama, turn, kind, tied) -> None:
    """Rows of q and k left in llama.cpp's order, k's heads miscounted, a dtype changed."""
    state = write_llama(tmp_path / "x.gguf", kind, tied)
    _same(load_file(turn(tmp_path / "x.gguf") / "model.safetensors"), state)


def test_llama_biases_come_back_exactly(tmp_path: Path, write_llama, turn) -> None:
    """Biases of q and k not un-permuted with their rows."""
    state = write_llama(tmp_path / "x.gguf", attention_bias=True, mlp_bias=True)
    out = turn(tmp_path / "x.gguf")
    _same(load_file(out / "model.safetensors"), state)
    config = json.loads((out / "config.json").read_text())
    assert config["attention_bias"] and config["mlp_bias"]


@pytest.mark.parametrize("kind", [Kind.F32, Kind.F16, Kind.BF16])
def test_gpt2_comes_back_exactly(tmp_path: Path, write_gpt2, turn, kind) -> None:
    """Conv1D weights left in GGUF's [out, in] layout; square ones would load in silence."""
    state = write_gpt2(tmp_path / "x.gguf", kind)
    _same(load_file(turn(tmp_path / "x.gguf") / "model.safetensors"), state)


def test_chunks_do_not_change_the_result(
    tmp_path: Path, write_llama, turn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A chunk boundary inside a head, or a last chunk that is lost."""
    state = write_llama(tmp_path / "x.gguf")
    monkeypatch.setattr(reading, "CHUNK", 64 * 5)
    _same(load_file(turn(tmp_path / "x.gguf") / "model.safetensors"), state)


def test_bf16_rounding_is_torch_s() -> None:
    """Ties, infinities, NaN, subnormals and both zeros rounded otherwise than torch does."""
    bits = np.random.default_rng(0).integers(0, 2**32, 200_000, dtype=np.uint32)
    edges = [0x3F808000, 0x3F818000, 0x7F7FFFFF, 0x7F800000, 0xFF800000, 0x80000000, 0x00008000]
    values = np.concatenate([bits, np.array(edges, np.uint32)]).view(np.float32)
    found = torch.from_numpy(as_bfloat16(values)).view(torch.bfloat16)
    wanted = torch.from_numpy(values).to(torch.bfloat16)
    assert torch.equal(found.isnan(), wanted.isnan())
    assert torch.equal(found[~wanted.isnan()], wanted[~wanted.isnan()])


@pytest.mark.parametrize("make", ["write_llama", "write_gpt2"])
def test_transformers_computes_the_same(tmp_path: Path, request, turn, make: str) -> None:
    """A config.json that transformers reads otherwise than the original's."""
    from transformers import AutoModelForCausalLM

    state = request.getfixturevalue(make)(tmp_path / "x.gguf")
    model, info = AutoModelForCausalLM.from_pretrained(
        turn(tmp_path / "x.gguf"), output_loading_info=True
    )
    assert not any(info[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    for name, tensor in state.items():
        assert torch.equal(model.state_dict()[name], tensor)


def _scaled(scaling):
    def add(writer: gguf.GGUFWriter) -> None:
        divisors = np.array(rope.llama3_divisors(scaling, 16, 10000.0), np.float32)
        writer.add_tensor("rope_freqs.weight", divisors)

    return add


@pytest.mark.parametrize("factor", [8.0, 32.0])
def test_llama3_scaling_is_inferred(tmp_path: Path, write_llama, turn, factor: float) -> None:
    """rope_freqs ignored, or taken for another factor's: transformers' own frequencies decide."""
    from transformers import AutoConfig
    from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

    scaling = dict(rope._LLAMA3) | {"factor": factor}
    write_llama(tmp_path / "x.gguf", extra=_scaled(scaling))
    config = AutoConfig.from_pretrained(turn(tmp_path / "x.gguf"))
    assert config.rope_parameters["factor"] == factor
    scaled, _ = ROPE_INIT_FUNCTIONS["llama3"](config, torch.device("cpu"))
    plain = 1 / 10000.0 ** (torch.arange(0, 16, 2) / 16)
    assert torch.allclose(plain / scaled, torch.tensor(rope.llama3_divisors(scaling, 16, 1e4)))


def test_linear_scaling_is_kept(tmp_path: Path, write_llama, turn) -> None:
    """A stretched context converted as if it were not."""
    from transformers import AutoConfig

    def add(writer: gguf.GGUFWriter) -> None:
        writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(4.0)

    write_llama(tmp_path / "x.gguf", extra=add)
    parameters = AutoConfig.from_pretrained(turn(tmp_path / "x.gguf")).rope_parameters
    assert parameters["rope_type"] == "linear" and parameters["factor"] == 4.0


REFUSED = {
    "experts": (lambda w: w.add_expert_count(8), "expert_used_count"),
    "sliding window": (lambda w: w.add_sliding_window(64), "sliding_window"),
    "yarn": (lambda w: w.add_rope_scaling_type(gguf.RopeScalingType.YARN), "rope.scaling.factor"),
    "longrope": (
        lambda w: w.add_rope_scaling_type(gguf.RopeScalingType.LONGROPE),
        "rope.scaling.type = 'longrope'",
    ),
    "unknown key": (lambda w: w.add_uint32("llama.new_maths", 1), "llama.new_maths"),
    "part of a set": (lambda w: w.add_uint16("split.count", 2), "does not say which"),
    "other rope_freqs": (
        lambda w: w.add_tensor("rope_freqs.weight", np.full(8, 3, np.float32)),
        "rope_freqs",
    ),
    "unknown tensor": (
        lambda w: w.add_tensor("blk.0.attn_q_norm.weight", np.ones(16, np.float32)),
        "blk.0.attn_q_norm.weight",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_not_understood_is_refused_by_name(
    tmp_path: Path, write_llama, turn, what: str
) -> None:
    """A setting that changes the maths, silently ignored."""
    add, name = REFUSED[what]
    write_llama(tmp_path / "x.gguf", extra=add)
    with pytest.raises(ModelError, match=name):
        turn(tmp_path / "x.gguf")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("missing", r"lacks the tensor blk\.1\.ffn_up\.weight"),
        ("misshapen", r"blk\.1\.ffn_up\.weight is \[95, 64\], but its settings ask for \[96, 64\]"),
        ("heads", r"blk\.0\.attn_k\.weight is \[32, 64\], but its settings ask for \[16, 64\]"),
        ("blocks", r"llama\.block_count is 2147483648"),
    ],
)
def test_tensors_must_fit_the_settings(
    tmp_path: Path, write_llama, turn, monkeypatch: pytest.MonkeyPatch, change: str, reason: str
) -> None:
    """A KeyError or reshape error instead of one line that names the tensor."""
    real = gguf.GGUFWriter.add_tensor

    def altered(self, name, tensor, **options):
        if name == "blk.1.ffn_up.weight" and change == "missing":
            return
        if name == "blk.1.ffn_up.weight" and change == "misshapen":
            tensor = np.ascontiguousarray(tensor[:-1])
        real(self, name, tensor, **options)

    monkeypatch.setattr(gguf.GGUFWriter, "add_tensor", altered)
    if change == "heads":
        monkeypatch.setattr(
            gguf.GGUFWriter,
            "add_head_count_kv",
            lambda self, n: self.add_uint32("llama.attention.head_count_kv", 1),
        )
    if change == "blocks":
        monkeypatch.setattr(
            gguf.GGUFWriter,
            "add_block_count",
            lambda self, n: self.add_uint32("llama.block_count", 2**31),
        )
    write_llama(tmp_path / "x.gguf")
    with pytest.raises(ModelError, match=reason):
        turn(tmp_path / "x.gguf")


def test_other_architectures_are_named(tmp_path: Path, turn) -> None:
    """A file of another family converted by llama's rules."""
    writer = gguf.GGUFWriter(tmp_path / "x.gguf", "mamba")
    writer.add_tensor("a", np.zeros(4, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with pytest.raises(
        ModelError, match=r"'mamba' is not supported \(supported: arcee, bloom, cohere2, "
    ):
        turn(tmp_path / "x.gguf")


@pytest.mark.slow
def test_default_model_has_one_dtype(default_model: Path, tmp_path: Path, drain) -> None:
    """Norms stored in another dtype than before, or a tensor lost."""
    drain(convert(default_model / "model.gguf", tmp_path, "tiny", "a test"))
    found = load_file(tmp_path / "model.safetensors")
    assert {tensor.dtype for tensor in found.values()} == {torch.bfloat16}
    assert len(found) == 272


def test_default_model_loads_in_transformers(plain_default_model: Path) -> None:
    """A key that is missing or unexpected, a rope base that is lost in transformers' new config."""
    from transformers import AutoConfig, AutoModelForCausalLM

    default_model = plain_default_model
    config = AutoConfig.from_pretrained(default_model)
    assert config.rope_parameters["rope_theta"] == 100000.0
    assert config.rms_norm_eps == 1e-5
    with torch.device("meta"):
        names = AutoModelForCausalLM.from_config(config).state_dict().keys()
    stored = load_file(default_model / "model.safetensors").keys()
    assert names - stored == {"lm_head.weight"} and config.tie_word_embeddings
