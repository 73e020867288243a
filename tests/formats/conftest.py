"""What writes tiny GGUF files is in the tests of models."""

from tests.models.conftest import write_llama as write_llama
