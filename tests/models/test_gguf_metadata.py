"""Of what a GGUF file says nothing is passed over: it is obeyed, known as a note, or refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest

from gptcli.errors import ModelError
from gptcli.formats.gguf import header
from gptcli.models.gguf.convert import convert
from gptcli.models.gguf.tokenizer import Vocabulary
from tests.models.conftest import VOCABULARY

Add = Callable[[gguf.GGUFWriter], None]


@pytest.fixture
def generation(tmp_path: Path, write_llama, drain) -> Callable[[Add], dict[str, Any]]:
    """The generation_config.json of a file to which something was added."""

    def run(add: Add) -> dict[str, Any]:
        write_llama(tmp_path / "x.gguf", extra=add)
        (tmp_path / "out").mkdir(exist_ok=True)
        drain(convert(tmp_path / "x.gguf", tmp_path / "out", "tiny", "a test"))
        found: dict[str, Any] = json.loads(
            (tmp_path / "out" / "generation_config.json").read_text()
        )
        del found["bos_token_id"], found["eos_token_id"]
        return found

    return run


SAMPLING: dict[str, tuple[dict[str, float | str], dict[str, object]]] = {
    "as published": (
        {"temp": 0.6, "top_k": 20, "top_p": 0.95, "min_p": 0.0},
        {"temperature": 0.6, "top_k": 20, "top_p": 0.95, "min_p": 0.0},
    ),
    "penalty": ({"penalty_repeat": 1.1}, {"repetition_penalty": 1.1}),
    "of all before": (
        {"penalty_repeat": 1.1, "penalty_last_n": -1},
        {"repetition_penalty": 1.1},
    ),
    "of the last": (
        {"penalty_repeat": 1.1, "penalty_last_n": 64},
        {"repetition_penalty": 1.1, "penalty_last_n": 64},
    ),
    "of none": ({"penalty_repeat": 1.1, "penalty_last_n": 0}, {}),
    "greedy": ({"temp": 0.0}, {"temperature": 0, "do_sample": False}),
    "every token": ({"top_k": -1}, {"top_k": 0}),
    "off": (
        {"mirostat": 0, "mirostat_tau": 5.0, "xtc_probability": 0.0, "xtc_threshold": 0.1,
         "penalty_last_n": 64, "penalty_repeat": 1.0, "sequence": ""},
        {"repetition_penalty": 1.0},
    ),
    "not ours": (
        {"mirostat": 2, "mirostat_tau": 5.0, "xtc_probability": 0.5, "sequence": "kpt"},
        {"mirostat": 2, "mirostat_tau": 5.0, "xtc_probability": 0.5, "sequence": "kpt"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", SAMPLING)
def test_recommended_sampling_is_kept(generation, what: str) -> None:
    """The same model drawn at 0.6 from its safetensors, and at 0.8 from its GGUF."""
    said, wanted = SAMPLING[what]

    def add(writer: gguf.GGUFWriter) -> None:
        for name, value in said.items():
            getattr(writer, f"add_sampling_{name}")(value)

    assert generation(add) == wanted


def test_the_model_s_own_settings_are_those_of_its_gguf(tmp_path: Path, write_llama, drain) -> None:
    """Keys written that the reader of generation_config.json knows by other names."""
    from gptcli.backends.local.open_model import OpenModel
    from gptcli.types.compute import Compute
    from gptcli.types.models import ModelDir
    from gptcli.types.sampling import Sampling, SamplingWish

    def add(writer: gguf.GGUFWriter) -> None:
        writer.add_sampling_temp(0.6)
        writer.add_sampling_top_k(20)
        writer.add_sampling_top_p(0.95)

    write_llama(tmp_path / "x.gguf", extra=add)
    (tmp_path / "out").mkdir()
    drain(convert(tmp_path / "x.gguf", tmp_path / "out", "tiny", "a test"))
    model = OpenModel(ModelDir("tiny", tmp_path / "out", "a test"), Compute())
    assert model.sampling(SamplingWish()) == Sampling(temperature=0.6, top_k=20, top_p=0.95)


def test_tokens_never_to_draw_are_kept(generation) -> None:
    """Placeholders of images drawn as text. llama.cpp, too, passes over ids there are none of."""
    found = generation(lambda w: w.add_array("tokenizer.ggml.suppress_tokens", [3, 5, 9999]))
    assert found == {"suppress_tokens": [3, 5]}


REFUSED: dict[str, tuple[Add, str]] = {
    "sampling": (lambda w: w.add_float32("general.sampling.dry", 1), r"general\.sampling\.dry"),
    "text": (lambda w: w.add_string("general.sampling.temp", "hot"), r"general\.sampling\.temp"),
    "nan": (lambda w: w.add_sampling_temp(float("nan")), r"general\.sampling\.temp = nan"),
    "general": (lambda w: w.add_uint32("general.new_maths", 1), r"general\.new_maths = 1"),
    "elsewhere": (lambda w: w.add_uint32("diffusion.steps", 8), r"diffusion\.steps = 8"),
    "architecture": (lambda w: w.add_uint32("qwen2.block_count", 8), r"qwen2\.block_count = 8"),
    "tokenizer": (lambda w: w.add_string("tokenizer.rwkv.world", "x"), r"tokenizer\.rwkv"),
    "template": (lambda w: w.add_uint32("tokenizer.chat_template", 1), "not a text"),
    "ends": (lambda w: w.add_array("tokenizer.ggml.eos_token_ids", [1, 999]), "999, outside"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_not_known_is_refused_by_name(generation, what: str) -> None:
    """Metadata outside of the architecture's and the tokenizer's prefix that nobody looks at."""
    add, reason = REFUSED[what]
    with pytest.raises(ModelError, match=reason):
        generation(add)


def test_notes_are_left_out(generation) -> None:
    """A file refused since it says who quantised it."""

    def add(writer: gguf.GGUFWriter) -> None:
        for name in ("author", "url", "repo_url", "quantized_by", "license_link", "source_url"):
            getattr(writer, f"add_{name}")("someone")
        writer.add_base_model_count(1)
        writer.add_base_model_name(0, "Tiny")
        writer.add_tags(["text"])
        writer.add_string("quantize.imatrix.file", "words.dat")
        writer.add_string("mradermacher.quantize_version", "2")
        writer.add_string("someone.note", "")
        writer.add_string("someone.version", "2026.11")
        writer.add_string("tokenizer.huggingface.json", "{}")
        writer.add_string("tokenizer.chat_template.tools", "{}")

    assert generation(add) == {}


NEUTRAL: dict[str, Add] = {
    "attn_factor": lambda w: w.add_float32("llama.rope.scaling.attn_factor", 1.0),
    "yarn_attn_factor": lambda w: w.add_float32("llama.rope.scaling.yarn_attn_factor", 1.0),
    "yarn_ext_factor": lambda w: w.add_float32("llama.rope.scaling.yarn_ext_factor", -1.0),
    "yarn_log": lambda w: w.add_float32("llama.rope.scaling.yarn_log_multiplier", 0.0),
    "finetuned": lambda w: w.add_bool("llama.rope.scaling.finetuned", False),
    "linear by 0": lambda w: (
        w.add_string("llama.rope.scaling.type", "linear"),
        w.add_float32("llama.rope.scaling.factor", 0.0),
    ),
    "no experts": lambda w: (w.add_expert_count(0), w.add_expert_used_count(2)),
    "wide window": lambda w: w.add_sliding_window(128),
    "no window": lambda w: (w.add_sliding_window(0), w.add_sliding_window_pattern(2)),
    "causal": lambda w: w.add_causal_attention(True),
    "scales": lambda w: (w.add_logit_scale(1.0), w.add_residual_scale(0.0)),
    "softcap": lambda w: w.add_final_logit_softcapping(0.0),
    "whole base": lambda w: w.add_uint32("llama.rope.freq_base", 10000),
    "no pad": lambda w: w.add_uint32("tokenizer.ggml.padding_token_id", 2**32 - 1),
    "no unknown": lambda w: w.add_int32("tokenizer.ggml.unknown_token_id", -1),
    "heads by layer": lambda w: w.add_array("llama.attention.head_count_kv", [2, 2]),
    "widths by layer": lambda w: w.add_array("llama.feed_forward_length", [96, 96]),
    "rope_freqs of ones": lambda w: w.add_tensor("rope_freqs.weight", np.ones(8, np.float32)),
    "bias of zeros": lambda w: w.add_tensor("output_norm.bias", np.zeros(64, np.float32)),
    "scale of one": lambda w: w.add_tensor("blk.0.attn_q.scale", np.ones(1, np.float32)),
}


def _instead(add: Add) -> Add:
    """What is there already under these keys is replaced."""

    def run(writer: gguf.GGUFWriter) -> None:
        before = dict(writer.kv_data[0])
        writer.kv_data[0].clear()
        add(writer)
        writer.kv_data[0] = before | writer.kv_data[0]

    return run


@pytest.mark.parametrize("what", NEUTRAL)
def test_what_changes_nothing_is_not_refused(tmp_path: Path, write_llama, drain, what: str) -> None:
    """A key refused, whatever its value: of 1, of 0, of none, of one number for all layers."""
    for name, add in (("plain", None), ("odd", _instead(NEUTRAL[what]))):
        write_llama(tmp_path / f"{name}.gguf", extra=add)
        (tmp_path / name).mkdir()
        drain(convert(tmp_path / f"{name}.gguf", tmp_path / name, "tiny", "a test"))
    for file in ("config.json", "model.safetensors", "generation_config.json"):
        assert (tmp_path / "plain" / file).read_bytes() == (tmp_path / "odd" / file).read_bytes()


CHANGING: dict[str, tuple[Add, str]] = {
    "attn_factor": (lambda w: w.add_float32("llama.rope.scaling.attn_factor", 1.2), "attn_factor"),
    "amplitude without yarn": (
        lambda w: w.add_float32("llama.rope.scaling.yarn_attn_factor", 2.0),
        "yarn_attn_factor = 2",
    ),
    "ext_factor without yarn": (
        lambda w: w.add_float32("llama.rope.scaling.yarn_ext_factor", 1.0),
        "yarn_ext_factor = 1",
    ),
    "window": (lambda w: w.add_sliding_window(127), "sliding_window = 127"),
    "heads by layer": (
        lambda w: w.add_array("llama.attention.head_count_kv", [2, 1]),
        r"head_count_kv is \[2, 1\]",
    ),
    "other layers": (
        lambda w: w.add_array("llama.attention.head_count_kv", [2, 2, 2]),
        r"head_count_kv is \[2, 2, 2\]",
    ),
    "bias": (
        lambda w: w.add_tensor("output_norm.bias", np.full(64, 1e-3, np.float32)),
        "not understood: output_norm.bias",
    ),
    "not numbers": (
        lambda w: w.add_tensor("output_norm.bias", np.full(64, np.nan, np.float32)),
        "not understood: output_norm.bias",
    ),
    "scale": (
        lambda w: w.add_tensor("blk.0.attn_q.scale", np.full(1, 2, np.float32)),
        "not understood: blk.0.attn_q.scale",
    ),
}


@pytest.mark.parametrize("what", CHANGING)
def test_what_changes_something_is_refused(generation, what: str) -> None:
    """The value not asked at all: what was made for harmless ones lets all of them through."""
    add, reason = CHANGING[what]
    with pytest.raises(ModelError, match=reason):
        generation(_instead(add))


ENDS = {
    "Qwen2.5": (["<|im_end|>", "<|endoftext|>", "<|fim_pad|>", "<|repo_name|>"], "<|im_start|>"),
    "Llama 3": (["<|eot_id|>", "<|eom_id|>", "<|end_of_text|>"], "<|start_header_id|>"),
    "DeepSeek": (["<｜end▁of▁sentence｜>"], "<｜begin▁of▁sentence｜>"),
    "gpt-oss": (["<|return|>", "<|call|>", "<|endoftext|>"], "<|end|>"),
    "Gemma 4": (["<turn|>", "<|tool_response>", "<eos>"], "</s>"),
    "SmolVLM": (["<end_of_utterance>"], "<image>"),
    "Kimi": (["[EOS]", "[EOT]", "[PAD]"], "[BOS]"),
}


@pytest.mark.parametrize("whose", ENDS)
def test_ends_are_known_by_their_texts(tmp_path: Path, write_llama, drain, whose: str) -> None:
    """A text that runs on after <|endoftext|> with a document of its own, glued to the first."""
    ends, other = ENDS[whose]

    def add(writer: gguf.GGUFWriter) -> None:
        key = "tokenizer.ggml.tokens"
        tokens = writer.kv_data[0][key].value
        for at, text in enumerate([*ends, other], start=VOCABULARY - 2 - len(ends) - 1):
            tokens[at] = text

    write_llama(tmp_path / "x.gguf", extra=add)
    (tmp_path / "out").mkdir()
    drain(convert(tmp_path / "x.gguf", tmp_path / "out", "tiny", "a test"))
    found = json.loads((tmp_path / "out" / "generation_config.json").read_text())["eos_token_id"]
    first = VOCABULARY - 2 - len(ends) - 1
    wanted = {VOCABULARY - 1, *range(first, first + len(ends))}
    assert set(found) == wanted and found[0] == VOCABULARY - 1


def test_a_plain_word_is_no_end(tmp_path: Path, write_llama) -> None:
    """A text about HTML that ends at its first </s>, which is a word of the vocabulary there."""

    def add(writer: gguf.GGUFWriter) -> None:
        writer.kv_data[0]["tokenizer.ggml.tokens"].value[260] = "</s>"

    write_llama(tmp_path / "x.gguf", extra=add)
    vocabulary = Vocabulary(header.read(tmp_path / "x.gguf"))
    assert vocabulary.tokens[260] == "</s>" and vocabulary.ends() == [VOCABULARY - 1]


def test_more_than_one_end_that_a_file_names(generation, tmp_path: Path) -> None:
    """Ends that other writers put into a list."""
    generation(lambda w: w.add_array("tokenizer.ggml.eos_token_ids", [281, 282]))
    found = json.loads((tmp_path / "out" / "generation_config.json").read_text())
    assert found["eos_token_id"] == [VOCABULARY - 1, 281, 282]


@pytest.mark.parametrize("name", ["sha256-0123abcd", "MODEL.GGUF", "model.bin", "m"])
def test_a_gguf_file_is_known_by_its_first_bytes(tmp_path: Path, write_llama, name: str) -> None:
    """Ollama's files have no suffix, and other systems' have another case."""
    from gptcli.models.resolve import Gguf, resolve

    write_llama(tmp_path / name)
    assert resolve(f"{tmp_path}/{name}") == Gguf(tmp_path / name)
