"""Which matrix of int4 gets how many bits."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gptcli.engine.cpu.binding.abi import Kind
from gptcli.engine.cpu.packing.chosen import kinds_of
from gptcli.engine.cpu.packing.section import EMBEDDING, UNEMBEDDING
from gptcli.engine.cpu.packing.sections import sections
from gptcli.engine.model.spec import ModelSpec
from gptcli.formats import ggml_blocks
from tests.engine.cpu.small import SPEC
from tests.engine.helpers import runner_of


def shaped(
    width: int, heads: int, kv_heads: int, head_dim: int, hidden: int, vocab: int, layers: int
) -> ModelSpec:
    """Layers all alike, and a tied embedding."""
    return replace(
        SPEC,
        width=width,
        heads=heads,
        kv_heads=kv_heads,
        head_dim=head_dim,
        hidden=hidden,
        vocab=vocab,
        each_layer=SPEC.each_layer[:1] * layers,
        tied=True,
    )


#: Shapes of SmolLM2-135M, Gemma 3 270M, Llama 3.2 1B and Qwen3-4B.
ODD = shaped(576, 9, 3, 64, 1536, 49152, 30)
WIDE_HEAD = shaped(640, 4, 1, 256, 2048, 262144, 18)
LARGE = shaped(2048, 32, 8, 64, 8192, 128256, 16)
LARGER = shaped(2560, 32, 8, 128, 9728, 151936, 36)


def sizes(spec: ModelSpec) -> dict[str, int]:
    """Bytes of blocks of each matrix in int4, but routers."""
    found = {}
    for section in sections(spec, kinds_of("int4", spec)):
        if section.form == "matrix" and section.kind is not Kind.BFLOAT16:
            blocks = -(-section.columns // ggml_blocks.NUMBERS[section.kind.name])
            found[section.name] = section.rows * blocks * ggml_blocks.SIZES[section.kind.name]
    return found


def bits(spec: ModelSpec) -> dict[str, float]:
    """Bits of a number of each matrix."""
    shapes = {section.name: section.shape for section in sections(spec, kinds_of("int4", spec))}
    return {
        name: 8 * size / (shapes[name][0] * shapes[name][1]) for name, size in sizes(spec).items()
    }


@pytest.mark.parametrize(
    ("spec", "most"),
    # What llama.cpp's Q4_K_M has of such models, norms aside.
    [(ODD, 103_527_936), (WIDE_HEAD, 246_364_160), (LARGE, 799_592_448), (LARGER, 2_504_732_160)],
    ids=["odd", "wide head", "large", "larger"],
)
def test_no_more_bytes_than_q4_k_m(spec, most):
    """Catches a mixture that is nearer because it is larger, and one that leaves bytes unused."""
    # A head of which a step takes a fifth of all may leave some.
    assert (0.94 if spec is WIDE_HEAD else 0.99) * most <= sum(sizes(spec).values()) <= most


@pytest.mark.parametrize("spec", [LARGE, ODD], ids=["large", "odd"])
def test_what_matters_gets_more(spec):
    """Catches bits that go where many bytes save little."""
    found = bits(spec)
    at = "layers.5."
    assert found[f"{at}attention.value.weight"] > found[f"{at}attention.query.weight"]
    assert found[f"{at}mlp.down.weight"] >= found[f"{at}mlp.gate.weight"]
    assert min(found.values()) >= 4.5


def test_rows_that_are_not_whole_blocks():
    """Catches blocks of 256 for rows that they would fill up with zeros."""
    for section in sections(ODD, kinds_of("int4", ODD)):
        if section.form == "matrix":
            assert section.columns % ggml_blocks.NUMBERS[section.kind.name] == 0


def test_an_embedding_is_not_the_head():
    """Catches a table, of which a row is read, that takes the bits of the head."""
    spec = replace(LARGE, tied=False)
    kinds = kinds_of("int4", spec)
    assert kinds.own[EMBEDDING] is Kind.Q4_K and kinds.own[UNEMBEDDING] is kinds.head
    tied = kinds_of("int4", LARGE)
    assert tied.own[EMBEDDING] is tied.head and UNEMBEDDING not in tied.own
    assert kinds_of("int8", LARGE).own[EMBEDDING] is Kind.Q8_0


def test_experts_of_a_layer_are_alike():
    """Catches thousands of matrices that are weighed one by one, or routers that are rounded."""
    spec = runner_of("qwen3_moe/untied").decoder.spec
    kinds = {s.name: s.kind for s in sections(spec, kinds_of("int4", spec))}
    for layer in range(spec.layers):
        for name in ("gate", "up", "down"):
            experts = range(spec.experts.count)
            at = f"layers.{layer}.mlp.experts"
            assert len({kinds[f"{at}.{n}.{name}.weight"] for n in experts}) == 1
    assert {k for n, k in kinds.items() if "router.weight" in n} == {Kind.BFLOAT16}


def test_what_blocks_give_back_stays_on_its_grid():
    """Catches a mixture that is larger, or farther, than the blocks that the numbers were in.

    Here these are those of Q4_K_M, which take all bytes that there are.
    """
    grids = {EMBEDDING: Kind.Q8_0}
    for layer in range(WIDE_HEAD.layers):
        more = layer < 2 or layer >= 15 or layer % 3 == 1
        at = f"layers.{layer}"
        for name in ("attention.query", "attention.key", "mlp.gate", "mlp.up"):
            grids[f"{at}.{name}.weight"] = Kind.Q5_0
        grids[f"{at}.attention.out.weight"] = Kind.Q4_K
        grids[f"{at}.attention.value.weight"] = Kind.Q8_0 if more else Kind.Q5_0
        grids[f"{at}.mlp.down.weight"] = Kind.Q6_K if more else Kind.Q4_K
    found = kinds_of("int4", WIDE_HEAD, grids).own
    assert {name: found[name] for name in grids} == grids
