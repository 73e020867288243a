"""Where the weights of a model lie in the cache folder, for those who make and measure them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

#: gptcli's dtype → the type of llama.cpp's that is nearest to it.
GGML_TYPES = {"float32": "F32", "bfloat16": "BF16", "int8": "Q8_0", "int4": "Q4_K_M"}


def is_file_type(dtype: str) -> bool:
    """Whether that is a type of GGUF files (Q4_K_M), which gptcli runs from the same file."""
    return dtype not in GGML_TYPES


@dataclass(frozen=True)
class Places:
    """One model's folder."""

    folder: Path

    @property
    def checkpoint(self) -> Path:
        """A directory as the Hugging Face hub has them; gptcli and transformers load it."""
        return self.folder / "checkpoint"

    def gguf(self, dtype: str) -> Path:
        """llama.cpp's file in the type that stands for `dtype`, or in the type of that name."""
        return self.folder / f"{GGML_TYPES.get(dtype, dtype)}.gguf"

    def ctranslate2(self, dtype: str) -> Path:
        """A directory that ctranslate2's converter wrote."""
        return self.folder / f"ctranslate2-{dtype}"

    def openvino(self, dtype: str) -> Path:
        """A directory that optimum exported; bfloat16 is how float32's is computed."""
        return self.folder / f"openvino-{'float32' if dtype == 'bfloat16' else dtype}"
