"""Files that both run as they are: a GGUF file in other types, and random ones of known shapes.

`python -m tests.bench.weights.equal_files FILE --name smollm2 --work DIR --llama-quantize FILE`
makes DIR/smollm2/F32.gguf, which holds exactly the numbers of FILE, and of it each of TYPES;
`--shape qwen3-4b` in place of FILE's numbers takes random blocks, mixed as Q4_K_M is, and only its
tokenizer. What is there already stays.
"""

from __future__ import annotations

import argparse
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from gguf import GGMLQuantizationType as Kind
from gguf.quants import dequantize

TYPES = ("Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M", "Q4_0", "Q3_K_M", "Q2_K", "IQ4_XS")
#: Of the numbers of random matrices, about.
_SPREAD = 0.02


@dataclass(frozen=True)
class Shape:
    """The sizes of a model, under the names that GGUF has for them."""

    architecture: str
    layers: int
    width: int
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    vocab: int
    head_norms: bool
    rope_base: float


SHAPES = {
    "llama-1b": Shape("llama", 16, 2048, 8192, 32, 8, 64, 128_256, False, 5e5),
    "qwen3-4b": Shape("qwen3", 36, 2560, 9728, 32, 8, 128, 151_936, True, 1e6),
}


def exact(source: Path, to: Path) -> None:
    """A file with the same numbers in float32, and all else as it is."""
    read = gguf.GGUFReader(source)
    writer = gguf.GGUFWriter(to.with_suffix(".part"), _text(read, "general.architecture"))
    _copy(read, writer)
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    for tensor in read.tensors:
        shape = [int(size) for size in reversed(tensor.shape)]
        writer.add_tensor_info(tensor.name, shape, np.dtype(np.float32), 4 * int(tensor.n_elements))
    _write(writer, (dequantize(t.data, t.tensor_type).astype(np.float32) for t in read.tensors))
    to.with_suffix(".part").rename(to)


def quantised(source: Path, to: Path, kind: str, llama_quantize: Path) -> None:
    """What llama.cpp makes of it."""
    made = to.with_suffix(".part")
    command = [str(llama_quantize), str(source), str(made), kind]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    made.rename(to)


def random(shape: Shape, tokenizer: Path, to: Path) -> None:
    """Random blocks of Q4_K and Q6_K where llama.cpp's Q4_K_M has them, written one by one."""
    writer = gguf.GGUFWriter(to.with_suffix(".part"), shape.architecture)
    read = gguf.GGUFReader(tokenizer)
    _copy(read, writer, only="tokenizer.", leave=("tokenizer.ggml.tokens", "tokenizer.ggml.token_"))
    known = read.fields["tokenizer.ggml.tokens"].contents()[: shape.vocab]
    kinds = read.fields["tokenizer.ggml.token_type"].contents()[: shape.vocab]
    unused = range(len(known), shape.vocab)
    writer.add_token_list([*known, *(f"<|unused {number}|>" for number in unused)])
    writer.add_token_types([*kinds, *(gguf.TokenType.UNUSED for _ in unused)])
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q4_K_M)
    writer.add_block_count(shape.layers)
    writer.add_context_length(8192)
    writer.add_embedding_length(shape.width)
    writer.add_feed_forward_length(shape.hidden)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_key_length(shape.head_dim)
    writer.add_value_length(shape.head_dim)
    writer.add_rope_dimension_count(shape.head_dim)
    writer.add_rope_freq_base(shape.rope_base)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_vocab_size(shape.vocab)
    found = list(_tensors(shape))
    for name, rows, columns, kind in found:
        if kind is Kind.F32:
            writer.add_tensor_info(name, [columns], np.dtype(np.float32), 4 * columns)
        else:
            _, block = gguf.GGML_QUANT_SIZES[kind]
            row = columns // 256 * block
            writer.add_tensor_info(
                name, [rows, row], np.dtype(np.uint8), rows * row, raw_dtype=kind
            )
    numbers = np.random.default_rng(0)
    _write(writer, (_blocks(numbers, rows, columns, kind) for _, rows, columns, kind in found))
    to.with_suffix(".part").rename(to)


def _tensors(shape: Shape) -> Iterator[tuple[str, int, int, Kind]]:
    """Name, rows, columns and type of each, as llama.cpp's llama-quant.cpp mixes them."""
    inner, shared = shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim
    yield "token_embd.weight", shape.vocab, shape.width, Kind.Q6_K
    yield "output_norm.weight", 1, shape.width, Kind.F32
    for layer in range(shape.layers):
        eighth = shape.layers // 8
        more = layer < eighth or layer >= 7 * eighth or (layer - eighth) % 3 == 2
        wide = Kind.Q6_K if more else Kind.Q4_K
        at = f"blk.{layer}."
        yield f"{at}attn_norm.weight", 1, shape.width, Kind.F32
        yield f"{at}attn_q.weight", inner, shape.width, Kind.Q4_K
        yield f"{at}attn_k.weight", shared, shape.width, Kind.Q4_K
        yield f"{at}attn_v.weight", shared, shape.width, wide
        yield f"{at}attn_output.weight", shape.width, inner, Kind.Q4_K
        if shape.head_norms:
            yield f"{at}attn_q_norm.weight", 1, shape.head_dim, Kind.F32
            yield f"{at}attn_k_norm.weight", 1, shape.head_dim, Kind.F32
        yield f"{at}ffn_norm.weight", 1, shape.width, Kind.F32
        yield f"{at}ffn_gate.weight", shape.hidden, shape.width, Kind.Q4_K
        yield f"{at}ffn_up.weight", shape.hidden, shape.width, Kind.Q4_K
        yield f"{at}ffn_down.weight", shape.width, shape.hidden, wide


def _blocks(random: np.random.Generator, rows: int, columns: int, kind: Kind) -> np.ndarray:
    """Random codes and scales under a block's own scales, which keep numbers near `_SPREAD`."""
    if kind is Kind.F32:
        return np.ones(columns, np.float32)
    _, size = gguf.GGML_QUANT_SIZES[kind]
    blocks = random.integers(0, 256, (rows * columns // 256, size), dtype=np.uint8)
    if kind is Kind.Q4_K:
        # Codes of 0 … 15 under scales and minimums of 0 … 63: the minimum in the middle.
        step = _SPREAD / (31.5 * 4.6)
        halves = np.array([step, 7.5 * step], dtype=np.float16)
        blocks[:, :4] = halves.view(np.uint8)
    else:
        # Codes of -32 … 31 under scales of -128 … 127.
        blocks[:, -2:] = np.array([_SPREAD / (74 * 18.5)], dtype=np.float16).view(np.uint8)
    return blocks.reshape(rows, -1)


def _copy(
    read: gguf.GGUFReader, writer: gguf.GGUFWriter, only: str = "", leave: tuple[str, ...] = ()
) -> None:
    left = ("GGUF.", "general.architecture", "general.file_type", *leave)
    for name, field in read.fields.items():
        if name.startswith(only) and not name.startswith(left):
            inner = field.types[1] if len(field.types) > 1 else None
            writer.add_key_value(name, field.contents(), field.types[0], sub_type=inner)


def _text(read: gguf.GGUFReader, name: str) -> str:
    return str(read.fields[name].contents())


def _write(writer: gguf.GGUFWriter, arrays: Iterator[np.ndarray[Any, Any]]) -> None:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    for array in arrays:
        writer.write_tensor_data(array)
    writer.close()


def main() -> None:
    """The files of one model."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", type=Path, metavar="FILE")
    parser.add_argument("--work", type=Path, required=True, metavar="DIR")
    parser.add_argument("--name", required=True, help="of the folder in DIR")
    parser.add_argument("--shape", choices=SHAPES, help="random blocks of this shape")
    parser.add_argument("--types", default=",".join(TYPES), metavar=",".join(TYPES))
    parser.add_argument("--llama-quantize", type=Path, metavar="FILE")
    given = parser.parse_args()
    folder = given.work / given.name
    folder.mkdir(parents=True, exist_ok=True)
    if given.shape:
        made = folder / "Q4_K_M.gguf"
        if not made.exists():
            random(SHAPES[given.shape], given.file, made)
        print(made)
        return
    base = folder / "F32.gguf"
    if not base.exists():
        exact(given.file, base)
    print(base)
    for kind in given.types.split(","):
        path = folder / f"{kind}.gguf"
        if not path.exists():
            if given.llama_quantize is None:
                parser.error(f"{path}: needs --llama-quantize")
            quantised(base, path, kind, given.llama_quantize)
        print(path, flush=True)


if __name__ == "__main__":
    main()
