"""Makes quantised.safetensors beside this file with the library mlx, which the suite does not need.

    pip install 'mlx[cpu]' safetensors && python tests/engine/weights/mlx/make.py

Every form is a weight of 3 rows, quantised by `mlx.core.quantize`; MODE-BITS-GROUP.weight, .scales
and .biases are what it gives, .numbers what `mlx.core.dequantize` makes of it in float32.
"""

from __future__ import annotations

from pathlib import Path

import mlx.core as mx

FORMS = [("affine", bits, group) for bits in (2, 3, 4, 5, 6, 8) for group in (32, 64, 128)]
FORMS += [("mxfp4", 4, 32), ("mxfp8", 8, 32), ("nvfp4", 4, 16)]


def main() -> None:
    mx.random.seed(1)
    found = {}
    for mode, bits, group in FORMS:
        weight = mx.random.normal((3, 256)) * mx.array([[0.02], [1.0], [30.0]])
        packed, *others = mx.quantize(weight, group_size=group, bits=bits, mode=mode)
        name = f"{mode}-{bits}-{group}"
        found[f"{name}.weight"] = packed
        for part, numbers in zip(("scales", "biases"), others, strict=False):
            found[f"{name}.{part}"] = numbers
        found[f"{name}.numbers"] = mx.dequantize(
            packed, *others, group_size=group, bits=bits, mode=mode
        ).astype(mx.float32)
    mx.save_safetensors(str(Path(__file__).with_name("quantised.safetensors")), found)


if __name__ == "__main__":
    main()
