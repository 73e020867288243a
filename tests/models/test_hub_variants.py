"""Which file of a repository a name means."""

from __future__ import annotations

import time

import pytest

from gptcli.errors import ModelError
from gptcli.models.hub_variants import Variant, choose, memory, require, variants


def named(*files: str) -> dict[str, tuple[str, ...]]:
    return {each.name: each.files for each in variants(dict.fromkeys(files, 10))}


def test_names_are_those_that_publishers_give() -> None:
    """A variant that cannot be named, since its file is called otherwise than most are."""
    found = named(
        "Qwen3-4B-Q4_K_M.gguf",
        "tinyllama-1.1b-chat-v1.0.Q5_K_S.gguf",
        "Qwen3-4B-UD-Q4_K_XL.gguf",
        "gemma-3-4b-it-qat-q4_0.gguf",
        "model_q8_0.gguf",
        "Llama-3.2.i1-IQ3_XXS.gguf",
        "qwen2-0_5b-instruct-fp16.gguf",
        "gpt-oss-MXFP4_MOE.gguf",
        "Q2_K/Big-00001-of-00001.gguf",
        "plain.gguf",
    )
    assert list(found) == [
        *("Q4_K_M", "Q5_K_S", "UD-Q4_K_XL", "Q4_0", "Q8_0", "i1-IQ3_XXS", "FP16", "MXFP4_MOE"),
        *("plain.gguf", "Q2_K"),
    ]


def test_what_is_no_model_is_no_variant() -> None:
    """The eyes of a model, or what was measured of it, taken for the model."""
    beside = ("mmproj-F16.gguf", "x-imatrix.gguf", "imatrix_unsloth.gguf", "mtp-x-Q8_0.gguf")
    assert list(named(*beside, "README.md", "x.gguf.part1of2", "sub/mmproj-Q8_0.gguf")) == []


def test_parts_are_one_variant() -> None:
    """Each part taken for a model, or a part that is missing for none."""
    found = variants(
        {"B/x-BF16-00001-of-00002.gguf": 5, "B/x-BF16-00002-of-00002.gguf": 7, "x-Q8_0.gguf": 1}
    )
    files = ("B/x-BF16-00001-of-00002.gguf", "B/x-BF16-00002-of-00002.gguf")
    assert found == [Variant("Q8_0", ("x-Q8_0.gguf",), 1), Variant("BF16", files, 12)]
    (lacking,) = variants({"x-Q8_0-00001-of-00002.gguf": 5})
    assert lacking.size is None and len(lacking.files) == 2
    assert variants({"x-Q8_0-00002-of-00002.gguf": 5}) == []


def test_two_files_of_one_quantisation_keep_their_names() -> None:
    """Another model's file behind a name that was meant for the first one's."""
    found = named("draft/small-Q4_K_M.gguf", "big-Q4_K_M.gguf", "other-Q4_K_M.gguf")
    assert found == {
        "Q4_K_M": ("big-Q4_K_M.gguf",),
        "other-Q4_K_M.gguf": ("other-Q4_K_M.gguf",),
        "draft/small-Q4_K_M.gguf": ("draft/small-Q4_K_M.gguf",),
    }


@pytest.mark.parametrize(
    ("wanted", "name"),
    [
        ("q4_k_m", "Q4_K_M"),
        ("Q4_K_XL", "UD-Q4_K_XL"),
        ("ud-q4_k_xl", "UD-Q4_K_XL"),
        ("X-q8_0.GGUF", "Q8_0"),
        ("sub/y.gguf", "sub/y.gguf"),
        ("y.gguf", "sub/y.gguf"),
        ("IQ4_XS", None),
        ("Q8", None),
        ("x-Q6_K-00002-of-00002.gguf", "Q6_K"),
        ("Q3_K_M", "x-Q3_K_M-old.gguf"),
    ],
)
def test_what_is_asked_for(wanted: str, name: str | None) -> None:
    """A variant by its case only, or IQ4_XS for Q4_XS and the other way round."""
    files = ["x-Q4_K_M.gguf", "x-UD-Q4_K_XL.gguf", "x-Q8_0.gguf", "sub/y.gguf", "x-Q4_XS.gguf"]
    files += [f"x-Q6_K-0000{part}-of-00002.gguf" for part in (1, 2)] + ["x-Q3_K_M-old.gguf"]
    found = choose(variants(dict.fromkeys(files, 1)), wanted)
    assert (found and found.name) == name


@pytest.mark.parametrize(
    ("files", "name"),
    [
        (["x-Q2_K.gguf", "x-Q4_K_M.gguf", "x-Q8_0.gguf"], "Q4_K_M"),
        (["x-Q2_K.gguf", "x-UD-Q4_K_M.gguf", "x-Q8_0.gguf"], "UD-Q4_K_M"),
        (["x-Q2_K.gguf", "x-Q8_0.gguf"], "Q8_0"),
        (["x-Q6_K.gguf", "x-Q2_K.gguf"], "Q6_K"),
        (["mmproj-Q8_0.gguf", "x.gguf"], "x.gguf"),
    ],
)
def test_without_a_name_llama_cpps_rule_holds(files: list[str], name: str) -> None:
    """Another file than `llama-cli -hf org/name` takes."""
    found = choose(variants(dict.fromkeys(files, 1)), "")
    assert found is not None and found.name == name


def test_an_unknown_variant_is_told_with_those_there_are() -> None:
    """A refusal after which nobody knows what to write."""
    found = variants(dict.fromkeys([f"x-Q{n}_K.gguf" for n in range(2, 99)], 1))
    with pytest.raises(ModelError, match=r"has no variant Q1 \(there are Q2_K, .* and 67 more\)"):
        require(found, "Q1", "org/name")
    with pytest.raises(ModelError, match="has no GGUF files"):
        require([], "Q1", "org/name")


def test_names_that_claim_a_thousand_parts_each() -> None:
    """Gigabytes of names made of a listing of one megabyte."""
    files = {f"{n}-Q8_0-00001-of-01024.gguf": 1 for n in range(20_000)}
    begin = time.process_time()
    assert sum(len(each.files) for each in variants(files)) < 90_000
    assert time.process_time() - begin < 5


def test_memory_is_told_as_the_kernels_have_it() -> None:
    """A model said to fit that becomes four times as large, or not to fit in its own blocks."""
    assert memory(Variant("Q8_0", ("x",), 1000), None) == 1000
    assert memory(Variant("BF16", ("x",), 1000), 500) == 1000
    assert memory(Variant("UD-IQ1_S", ("x",), 1000), 6000) == 12_000
    assert memory(Variant("IQ2_XXS", ("x",), 1000), None) == 8000
    assert memory(Variant("Q8_0", ("x",), None), None) is None
