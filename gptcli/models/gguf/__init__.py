"""GGUF files: a checked header, and their conversion to a model directory."""
